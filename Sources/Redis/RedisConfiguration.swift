/// Where Redis is, who we are there, and the bounds of one client.
package struct RedisConfiguration: Sendable {
    /// How the servers of one Redis belong together.
    package enum Topology: Sendable, Equatable {
        case standalone
        /// `endpoints` are sentinels, which know the primary by this name.
        case sentinel(primary: String)
        /// `endpoints` are some of the cluster's nodes; the others are found by asking them.
        case cluster
    }

    package var topology = Topology.standalone
    /// In the order of the address; at least one, at most ``maxEndpoints``, and exactly one when standalone.
    package var endpoints: [RedisEndpoint]
    /// What the sentinels ask for, if anything; it is seldom what the servers ask for.
    package var sentinelUser: String?
    package var sentinelPassword: String?
    /// nil signs in as Redis' default user.
    package var user: String?
    package var password: String?
    package var database: Int
    package var usesTLS: Bool
    /// A PEM file of the authorities to trust under `rediss://`; nil trusts the system's.
    package var trustedCertificatesFile: String?
    /// Shown by `CLIENT LIST`; printable ASCII without spaces.
    package var clientName: String? = "holdfast"

    /// Connections that carry commands, each pipelined.
    package var connectionCount = 4
    /// How long a command may take in all, waiting for a connection included.
    package var commandTimeout: Duration = .seconds(2)
    /// How long making one connection may take, and then again signing in on it.
    package var connectTimeout: Duration = .seconds(2)
    /// The first and the longest pause between attempts to connect.
    package var reconnectDelay: ClosedRange<Duration> = .milliseconds(50) ... .seconds(1)
    /// The pause after Redis refused our user or password: asking often would only fill its log.
    package var refusedDelay: Duration = .seconds(5)
    /// Commands that one connection may have in flight, and the most that one pipeline may hold.
    package var maxInFlight = 1024
    /// Requests that may wait for a connection; past it they fail at once, retryable.
    package var maxWaiting = 4096
    /// The bytes of one reply; past it the connection is closed.
    package var maxReplyBytes = 64 * 1024 * 1024
    /// The bytes of one Pub/Sub message; past it the subscriber's connection is closed and made anew.
    package var maxMessageBytes = 4 * 1024 * 1024
    /// How often an idle subscriber asks whether Redis is still there, and how long it waits for the answer.
    package var subscriberPingInterval: Duration = .seconds(5)
    package var subscriberPingTimeout: Duration = .seconds(2)

    /// Redirections that one command follows in a cluster before its caller is told.
    package var maxRedirects = 5
    /// The first and the longest pause before a cluster is asked again that cannot serve a command just now.
    package var retryDelay: ClosedRange<Duration> = .milliseconds(10) ... .milliseconds(200)
    /// How often a cluster is asked who owns which slot, apart from every time that something points to a change.
    package var mapInterval: Duration = .seconds(2)

    /// Hosts that an address may name.
    static let maxEndpoints = 64

    /// Reads an address such as `redis://user:password@host:6379/0`.
    ///
    /// - Shape: `redis` or `rediss` (TLS); user, password, port (6379) and database (0) may be left out; user and password
    ///   are percent-encoded; `redis://:password@host` signs in as the default user.
    ///   `redis+sentinel://user:password@host:26379,host:26379/PRIMARY/0?sentinel_user=U&sentinel_password=P` names
    ///   sentinels and the primary's name, `redis+cluster://user:password@host:6379,host:6379` some nodes of a cluster;
    ///   `rediss+…` is TLS to each server, sentinels included.
    /// - Throws: ``RedisError/Code/invalidConfiguration`` with a message that never quotes the address.
    package init(url: String) throws(RedisError) {
        guard let mark = url.firstRange(of: "://") else {
            throw Self.invalid("it has no scheme; write redis://host:port/0")
        }
        let scheme = url[..<mark.lowerBound].lowercased()
        switch scheme {
        case "redis", "redis+sentinel", "redis+cluster": usesTLS = false
        case "rediss", "rediss+sentinel", "rediss+cluster": usesTLS = true
        default: throw Self.invalid("its scheme is none of redis, rediss, redis+sentinel, redis+cluster")
        }
        let isSentinel = scheme.hasSuffix("+sentinel")
        let isCluster = scheme.hasSuffix("+cluster")
        var rest = url[mark.upperBound...]
        if isSentinel, let mark = rest.firstIndex(of: "?") {
            (sentinelUser, sentinelPassword) = try Self.sentinelCredentials(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        guard !rest.contains(where: { $0 == "?" || $0 == "#" }) else {
            throw Self.invalid("it has a query; percent-encode ? and # in the password as %3F and %23")
        }
        // A password may hold "/" or "@" only percent-encoded, so the last "@" ends it.
        let at = rest.lastIndex(of: "@")
        let location = at.map { rest[rest.index(after: $0)...] } ?? rest
        (user, password) =
            try at.map { (index) throws(RedisError) in try Self.credentials(rest[..<index]) } ?? (nil, nil)
        let parts = location.split(separator: "/", maxSplits: isSentinel ? 2 : 1, omittingEmptySubsequences: false)
        endpoints = []
        let hosts = (parts.first ?? "").split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.count == 1 || isSentinel || isCluster, hosts.count <= Self.maxEndpoints else {
            throw Self.invalid("it names too many hosts")
        }
        for host in hosts { endpoints.append(try Self.address(host, defaultPort: isSentinel ? 26379 : 6379)) }
        database = try Self.database(parts.count > (isSentinel ? 2 : 1) ? parts[isSentinel ? 2 : 1] : "")
        if isSentinel {
            guard parts.count > 1, let name = Self.decode(parts[1]), !name.isEmpty else {
                throw Self.invalid("it does not name the primary; write redis+sentinel://host:26379/mymaster")
            }
            topology = .sentinel(primary: name)
        } else if isCluster {
            guard database == 0 else { throw Self.invalid("a cluster has no database but 0") }
            topology = .cluster
        }
    }

    private static func sentinelCredentials(_ query: Substring) throws(RedisError) -> (String?, String?) {
        var found: [Substring: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, ["sentinel_user", "sentinel_password"].contains(parts[0]),
                let value = decode(parts[1]), found.updateValue(value, forKey: parts[0]) == nil
            else { throw invalid("its query may name sentinel_user and sentinel_password, each once, and no more") }
        }
        guard found["sentinel_password"] != nil || found["sentinel_user"] == nil else {
            throw invalid("it names a sentinel_user without a sentinel_password")
        }
        return (found["sentinel_user"], found["sentinel_password"])
    }

    private static func credentials(_ text: Substring) throws(RedisError) -> (String?, String?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw invalid("it names a user without a password; write user:password@ or :password@")
        }
        guard let user = decode(parts[0]), let password = decode(parts[1]) else {
            throw invalid("its user or password is not percent-encoded UTF-8")
        }
        if password.isEmpty && user.isEmpty { return (nil, nil) }
        return (user.isEmpty ? nil : user, password)
    }

    private static func address(
        _ text: Substring,
        defaultPort: Int
    ) throws(RedisError) -> RedisEndpoint {
        var host = text
        var port: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw invalid("its IPv6 address lacks the closing ]") }
            host = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.isEmpty || after.first == ":" else { throw invalid("something other than a port follows ]") }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else { throw invalid("it names no host") }
        guard let port else { return RedisEndpoint(host: String(host), port: defaultPort) }
        guard let number = Int(port), (1...65535).contains(number) else {
            throw invalid("its port is not a number from 1 to 65535")
        }
        return RedisEndpoint(host: String(host), port: number)
    }

    private static func database(_ text: Substring) throws(RedisError) -> Int {
        guard !text.isEmpty else { return 0 }
        guard let number = Int(text), (0...65535).contains(number) else {
            throw invalid("its database is not a number, 0 or above")
        }
        return number
    }

    /// nil when a `%` is not followed by two hexadecimal digits or the bytes are not UTF-8.
    private static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    private static func invalid(_ reason: String) -> RedisError {
        RedisError(.invalidConfiguration, "the address of Redis is not usable: \(reason)")
    }
}
