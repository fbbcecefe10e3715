/// What an account may do.
package enum Role: String, Codable, Sendable, CaseIterable, Comparable {
    case user
    case admin
    case superAdmin = "super_admin"

    /// Whether the account may watch and steer sales and other people's sessions.
    package var isAdministrator: Bool { self != .user }

    /// Less may less.
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rank < rhs.rank }

    private var rank: Int {
        switch self {
        case .user: 0
        case .admin: 1
        case .superAdmin: 2
        }
    }
}
