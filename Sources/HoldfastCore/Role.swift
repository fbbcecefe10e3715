/// What an account may do.
package enum Role: String, Codable, Sendable, CaseIterable {
    case user
    case admin
    case superAdmin = "super_admin"

    /// Whether the account may watch and steer sales and other people's sessions.
    package var isAdministrator: Bool { self != .user }
}
