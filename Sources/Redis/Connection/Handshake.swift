/// Signs in on a fresh connection: which commands to send, and what their replies mean.
///
/// All commands go out at once. The last is `PING`, which a server that is still loading its data, or is a replica without
/// its primary, answers with an error: such a connection is not yet of use.
struct Handshake: Sendable {
    enum Step: Sendable {
        case waiting
        /// The server's replication id, if it was asked and told.
        case done(String?)
        case failed(RedisError)
    }

    /// What the connection is for, and so what the server has to be.
    enum Purpose: Sendable {
        /// A sentinel, or a server that need not tell what it is.
        case any
        /// A primary, or whatever stands at the one address there is; what it serves from is noted.
        case serving
        /// A primary and nothing else: who pointed us to it may have been wrong.
        case primary
    }

    private enum Part: Sendable {
        case signIn, select, name, replication, ping
    }

    let commands: [RedisCommand]
    private let parts: [Part]
    private let purpose: Purpose
    private var answered = 0
    private var replicationID: String?

    init(_ configuration: RedisConfiguration, for purpose: Purpose = .any) {
        self.purpose = purpose
        var commands: [RedisCommand] = []
        var parts: [Part] = []
        if let password = configuration.password {
            let words = [configuration.user, password].compactMap { $0 }.map { RedisArgument($0) }
            commands.append(RedisCommand("AUTH", arguments: words))
            parts.append(.signIn)
        }
        if configuration.database != 0 {
            commands.append(RedisCommand("SELECT", RedisArgument(configuration.database)))
            parts.append(.select)
        }
        if let name = configuration.clientName {
            commands.append(RedisCommand("CLIENT", "SETNAME", RedisArgument(name)))
            parts.append(.name)
        }
        switch purpose {
        case .any: break
        case .serving, .primary:
            commands.append(RedisCommand("INFO", "replication"))
            parts.append(.replication)
        }
        commands.append(RedisCommand("PING"))
        parts.append(.ping)
        self.commands = commands
        self.parts = parts
    }

    mutating func receive(_ reply: RESPValue) -> Step {
        let part = parts[answered]
        answered += 1
        if let failure = failure(part, reply.failure?.serverError) { return .failed(failure) }
        if part == .replication, let replication = ReplicationInfo(reply) {
            if purpose == .primary && !replication.isPrimary {
                return .failed(RedisError(.connection, "the server is a replica now, not the primary"))
            }
            replicationID = replication.id
        }
        return answered == parts.count ? .done(replicationID) : .waiting
    }

    private func failure(_ part: Part, _ error: RedisServerError?) -> RedisError? {
        guard let error else { return nil }
        if error.isTransient {
            return RedisError(.connection, "Redis is not ready: \(error.prefix)", serverError: error)
        }
        switch (part, error.kind) {
        case (.signIn, _):
            return refused("Redis refused the user or the password of REDIS_URL (\(error.prefix))", error)
        case (.ping, .noAuth):
            return refused("Redis asks for a password and REDIS_URL has none", error)
        case (.replication, .noPermission) where purpose == .primary:
            return refused("the user of REDIS_URL may not INFO, so a primary cannot be told from a replica", error)
        case (.select, .noAuth), (.name, _), (.replication, _), (.ping, _):
            // A user may lack the right to CLIENT or PING and still have all that its commands need.
            return nil
        case (.select, _):
            return refused("Redis refused the database number of REDIS_URL (\(error.prefix))", error)
        }
    }

    private func refused(_ message: String, _ error: RedisServerError) -> RedisError {
        RedisError(.authentication, message, serverError: error)
    }
}

/// What a server says about itself in `INFO replication`.
struct ReplicationInfo: Sendable, Equatable {
    let isPrimary: Bool
    /// Names the history of the server's data: another one after a restart, and for a replica that was promoted.
    let id: String

    /// nil for a reply of another shape.
    init?(_ reply: RESPValue) {
        guard let text = reply.string else { return nil }
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        guard let role = fields["role"], let id = fields["master_replid"] else { return nil }
        isPrimary = role == "master"
        self.id = String(id)
    }
}
