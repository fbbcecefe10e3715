import OAuth
import Sessions

/// Joins the provider's word for a token with ours for session and account.
enum OAuthVouching {
    typealias Check = @Sendable (String) async throws -> SessionCheck

    static func check(_ front: OAuthFront, _ sessions: Sessions) -> Check {
        { token in
            guard let vouched = try await front.vouch(token), let handle = SessionHandle(vouched.session) else {
                return .invalidToken
            }
            return try await sessions.check(vouchedFor: vouched.user, session: handle, until: vouched.expiresAt)
        }
    }
}
