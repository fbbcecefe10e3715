/// What somebody belongs to and may do, spelled the same wherever it was said: an account of ours, or the token of any
/// provider.
package struct Grants: Sendable, Equatable {
    package let role: Role
    package let groups: Set<String>
    package let permissions: Set<String>

    /// At most so many of each; more are left out, in the order in which they were given.
    package static let most = 64

    /// Names are normalised; what is no name is left out.
    package init(role: Role, groups: some Sequence<String> = [], permissions: some Sequence<String> = []) {
        self.role = role
        self.groups = Set(groups.lazy.compactMap(Self.name).prefix(Self.most))
        self.permissions = Set(permissions.lazy.compactMap(Self.name).prefix(Self.most))
    }

    package func isMember(of group: String) -> Bool { Self.name(group).map { groups.contains($0) } ?? false }

    /// Administrators may do everything that has a name.
    package func allows(_ permission: Permission) -> Bool {
        role.isAdministrator || permissions.contains(permission.rawValue)
    }

    /// One spelling for one name: lower case, without the path's slash of Keycloak and the `ROLE_` of Spring.
    ///
    /// - Bounds: 1 to 128 bytes of ASCII letters, digits and `. _ : / @ + -` remain, else nil.
    package static func name(_ text: String) -> String? {
        var name = Substring(text.lowercased())
        while name.first?.isWhitespace == true || name.first == "/" { name.removeFirst() }
        while name.last?.isWhitespace == true || name.last == "/" { name.removeLast() }
        if name.hasPrefix("role_") { name.removeFirst(5) }
        guard (1...128).contains(name.utf8.count), name.utf8.allSatisfy(isAllowed) else { return nil }
        return String(name)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: "@"), UInt8(ascii: "+"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// What can be allowed to somebody who is no administrator.
package enum Permission: String, Sendable, CaseIterable {
    /// See everybody's sessions and their statistics.
    case readSessions = "sessions:read"
    /// End other people's sessions.
    case manageSessions = "sessions:manage"
    /// Look accounts up, disable them, change what they may do.
    case manageAccounts = "accounts:manage"
    case readAudit = "audit:read"
}

/// The claims of a token that say what its owner may do, in the spellings of the common providers.
///
/// - Important: decode it from claims whose signature was verified, never from a token as it came.
/// - Source: OpenID Connect leaves them open; the names are those of Keycloak (`realm_access`, `resource_access`,
///   `groups`), Auth0 (`permissions`), Microsoft Entra (`roles`, `groups`, `scp`), Spring (`authorities`), Amazon Cognito
///   (`cognito:groups`) and RFC 9068 (`roles`, `groups`, `scope`).
package struct GrantClaims: Decodable, Sendable {
    /// Role, or nil when none of the names is one of ours.
    package let role: Role?
    package let groups: [String]
    package let permissions: [String]

    package var grants: Grants { Grants(role: role ?? .user, groups: groups, permissions: permissions) }

    package init(from decoder: any Decoder) throws {
        let claims = try decoder.container(keyedBy: Claim.self)
        func names(_ keys: String...) -> [String] {
            keys.flatMap { (try? claims.decodeIfPresent(Names.self, forKey: Claim($0)))?.names ?? [] }
        }
        var roles = names("role", "roles", "authorities")
        roles += (try? claims.decodeIfPresent(Access.self, forKey: Claim("realm_access")))?.roles?.names ?? []
        let known = Set(roles.compactMap(Grants.name).map { String($0.map { $0 == "-" ? "_" : $0 }) })
        role =
            if !known.isDisjoint(with: ["super_admin", "superadmin"]) {
                .superAdmin
            } else if !known.isDisjoint(with: ["admin", "administrator"]) {
                .admin
            } else if known.contains("user") {
                .user
            } else {
                nil
            }
        groups = names("groups", "group", "cognito:groups")
        // Who administers another client is nobody here: these are permissions with the client's name, never a role.
        let clients = (try? claims.decodeIfPresent([String: Access].self, forKey: Claim("resource_access"))) ?? [:]
        permissions =
            names("permissions", "scope", "scp")
            + clients.sorted { $0.key < $1.key }.flatMap { client, access in
                (access.roles?.names ?? []).map { "\(client):\($0)" }
            }
    }

    private struct Access: Decodable { let roles: Names? }

    private struct Claim: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    /// One text with spaces or commas, a list of texts, or a list of objects with a `name`.
    private struct Names: Decodable {
        let names: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                names = text.split { $0 == " " || $0 == "," }.map(String.init)
            } else if let list = try? container.decode([String].self) {
                names = list
            } else {
                names = try container.decode([Named].self).map(\.name)
            }
        }

        private struct Named: Decodable { let name: String }
    }
}
