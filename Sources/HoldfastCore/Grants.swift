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

    /// `REQUIRED_GROUP`: whether somebody is in it, or an administrator; anybody if there is none.
    package func mayUseService(of group: String?) -> Bool {
        guard let group else { return true }
        return role.isAdministrator || isMember(of: group)
    }

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
