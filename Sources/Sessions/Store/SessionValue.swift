import HoldfastCore

/// The part of a session that is encrypted in Redis: where it came from, and the role at sign-in.
///
/// - Shape: version 1, the role's number, the address' length, the address, the user agent. Not JSON, because every
///   request reads it.
struct SessionValue: Sendable, Equatable {
    private static let version: UInt8 = 1

    let role: Role
    let client: ClientInfo

    init(role: Role, client: ClientInfo) {
        self.role = role
        self.client = client
    }

    init?(bytes: [UInt8]) {
        guard bytes.count >= 3, bytes[0] == Self.version else { return nil }
        let addressEnd = 3 + Int(bytes[2])
        guard let role = Self.role(bytes[1]), addressEnd <= bytes.count,
            let address = String(validating: bytes[3..<addressEnd], as: UTF8.self),
            let agent = String(validating: bytes[addressEnd...], as: UTF8.self)
        else { return nil }
        self.init(role: role, client: ClientInfo(ipAddress: address, userAgent: agent))
    }

    var bytes: [UInt8] {
        let address = Array(client.ipAddress.utf8)
        return [Self.version, Self.number(role), UInt8(address.count)] + address + Array(client.userAgent.utf8)
    }

    private static func number(_ role: Role) -> UInt8 {
        switch role {
        case .user: 0
        case .admin: 1
        case .superAdmin: 2
        }
    }

    private static func role(_ number: UInt8) -> Role? { Role.allCases.first { Self.number($0) == number } }
}
