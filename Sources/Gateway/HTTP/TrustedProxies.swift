import Foundation
import NIOCore

/// Whose word on where a request came from is taken.
///
/// Behind a balancer every connection comes from the balancer. What it writes into `X-Forwarded-For` is believed if its
/// address is listed; from anybody else the field is a claim, and throttles and limits by address would be void.
package struct TrustedProxies: Sendable {
    struct Network: Sendable, Equatable {
        let bytes: [UInt8]
        let prefix: Int

        /// `10.0.0.0/8`, `fd00::/8`, or one address.
        init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let bytes = TrustedProxies.bytes(of: String(parts[0])) else {
                return nil
            }
            var prefix = bytes.count * 8
            if parts.count == 2 {
                guard let given = Int(parts[1]), (0...prefix).contains(given) else { return nil }
                prefix = given
            }
            self.bytes = bytes
            self.prefix = prefix
        }

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == bytes.count else { return false }
            let whole = prefix / 8
            guard address[..<whole] == bytes[..<whole] else { return false }
            let rest = prefix % 8
            return rest == 0 || (address[whole] ^ bytes[whole]) >> (8 - rest) == 0
        }
    }

    /// Empty: nobody is believed.
    let networks: [Network]

    init(_ networks: [Network] = []) { self.networks = networks }

    /// Where a request came from: the nearest address that is none of ours.
    ///
    /// - Parameters:
    ///   - peer: who holds the connection.
    ///   - forwarded: all of `X-Forwarded-For`, its fields joined by commas. Each hop adds whom it heard from at the end,
    ///     so only what stands behind the last stranger is true.
    ///   - Bounds: the last 32 addresses are looked at.
    package func client(peer: String?, forwarded: String?) -> String? {
        guard !networks.isEmpty, let forwarded, let peer, isTrusted(peer) else { return peer }
        var nearest = peer
        for hop in forwarded.split(separator: ",").suffix(32).reversed() {
            let text = hop.trimmingCharacters(in: .whitespaces)
            // What is no address was not written by a proxy of ours.
            guard let address = Self.address(text) else { return nearest }
            nearest = address
            guard isTrusted(address) else { return address }
        }
        return nearest
    }

    private func isTrusted(_ address: String) -> Bool {
        guard let bytes = Self.bytes(of: address) else { return false }
        return networks.contains { $0.contains(bytes) }
    }

    /// In its usual spelling; some proxies add a port, and IPv6 addresses then stand in brackets.
    private static func address(_ text: String) -> String? {
        var text = text
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            text = String(text[text.index(after: text.startIndex)..<end])
        } else if text.count(where: { $0 == ":" }) == 1, let colon = text.firstIndex(of: ":") {
            text = String(text[..<colon])
        }
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        return address.ipAddress
    }

    /// 4 or 16 bytes; an IPv4 address within IPv6 counts as what it is.
    static func bytes(of text: String) -> [UInt8]? {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        switch address {
        case .v4(let v4): return withUnsafeBytes(of: v4.address.sin_addr) { Array($0) }
        case .v6(let v6):
            let bytes = withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) }
            let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
            return Array(bytes.prefix(12)) == mapped ? Array(bytes.suffix(4)) : bytes
        case .unixDomainSocket: return nil
        }
    }
}
