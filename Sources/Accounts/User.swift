package import HoldfastCore

/// A person with an account, as PostgreSQL knows them.
package struct User: Sendable, Equatable {
    package let userID: UserID
    package let name: String
    package let email: String
    package let role: Role
    /// A disabled account cannot sign in and its sessions count for nothing.
    package let active: Bool
    package let createdAt: ServerTime
    package let groups: [String]
    package let permissions: [String]
    /// The same in one spelling, made once, as every request asks for it.
    package let grants: Grants

    package init(
        userID: UserID,
        name: String,
        email: String,
        role: Role,
        active: Bool,
        createdAt: ServerTime,
        groups: [String] = [],
        permissions: [String] = []
    ) {
        self.userID = userID
        self.name = name
        self.email = email
        self.role = role
        self.active = active
        self.createdAt = createdAt
        self.groups = groups
        self.permissions = permissions
        grants = Grants(role: role, groups: groups, permissions: permissions)
    }
}

/// What became of a registration; malformed fields are a ``Problem`` instead.
package enum RegistrationOutcome: Sendable, Equatable {
    case registered(User)
    case exists
    /// Too many passwords are being hashed just now.
    case busy(retryAfterSeconds: Int)
}

/// What became of a user name and a password.
package enum AuthenticationOutcome: Sendable, Equatable {
    case authenticated(User)
    /// No such user, or not this password: the two cannot be told apart, by answer or by time.
    case wrongCredentials
    /// Said only to those who know the password.
    case disabled
    case busy(retryAfterSeconds: Int)
}
