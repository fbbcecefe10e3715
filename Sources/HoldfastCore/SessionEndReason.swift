/// Why a sign-in session ended. The raw value is the `reason` of `force-logout` on the wire.
package enum SessionEndReason: String, Codable, Sendable, CaseIterable {
    case duplicateLogin = "duplicate-login"
    case admin
    case logoutAll = "logout-all"
    case tokenReuse = "token-reuse"
    case accountDisabled = "account-disabled"
    case logout
    case sessionEnded = "session-ended"

    /// What the person reads.
    package var message: String {
        switch self {
        case .duplicateLogin: "You signed in on another device."
        case .admin: "An administrator ended this session."
        case .logoutAll: "You signed out on all devices."
        case .tokenReuse: "This session was ended for your safety: its refresh token was used twice."
        case .accountDisabled: "This account is disabled."
        case .logout: "You signed out."
        case .sessionEnded: "Your session has ended. Please sign in again."
        }
    }
}
