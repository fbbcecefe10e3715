import HoldfastCore

/// What a provider says somebody may do, the same whatever the provider.
///
/// - Bounds: 200 of each kind, of 256 bytes each; what is beyond is left out.
package struct Authorities: Sendable, Equatable, Codable {
    package private(set) var roles: [String] = []
    package private(set) var groups: [String] = []
    package private(set) var permissions: [String] = []

    static let maxCount = 200
    static let maxBytes = 256

    package init() {}

    /// Gathers from all sources that came with one sign-in: ID token, access token, userinfo, introspection.
    ///
    /// | | Members that are read |
    /// | --- | --- |
    /// | roles | `role`, `roles`, `realm_access.roles`, `resource_access.CLIENT.roles` |
    /// | groups | `group`, `groups`, with or without a leading `/` |
    /// | permissions | `permission`, `permissions`, `authorities`, `scope`, `scp` (texts are split at spaces and commas) |
    ///
    /// A member may be a list, or a text. Roles of other clients than `clientID` are not ours to count.
    package init(_ sources: [JSONValue], clientID: String) {
        for source in sources {
            add(source["role"], to: \.roles)
            add(source["roles"], to: \.roles)
            add(source["realm_access"]?["roles"], to: \.roles)
            add(source["resource_access"]?[clientID]?["roles"], to: \.roles)
            add(source["group"], to: \.groups) { $0.first == "/" ? String($0.dropFirst()) : $0 }
            add(source["groups"], to: \.groups) { $0.first == "/" ? String($0.dropFirst()) : $0 }
            for name in ["permission", "permissions", "authorities", "scope", "scp"] {
                add(source[name], to: \.permissions)
            }
        }
        roles.sort()
        groups.sort()
        permissions.sort()
    }

    private mutating func add(
        _ value: JSONValue?,
        to list: WritableKeyPath<Authorities, [String]>,
        as spelling: (String) -> String = { $0 }
    ) {
        guard let value else { return }
        let texts: [String]
        if case .string(let text) = value {
            texts = text.split { $0 == " " || $0 == "," }.map(String.init)
        } else {
            texts = value.strings
        }
        for text in texts.map(spelling) {
            guard !text.isEmpty, text.utf8.count <= Self.maxBytes, self[keyPath: list].count < Self.maxCount,
                !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }),
                !self[keyPath: list].contains(text)
            else { continue }
            self[keyPath: list].append(text)
        }
    }

    /// Whether somebody is in a group, however it is spelled; roles count too, as many providers know only one of the two.
    package func isIn(_ group: String) -> Bool {
        Grants(role: .user, groups: groups + roles).isMember(of: group)
    }
}
