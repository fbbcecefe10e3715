package import HoldfastCore

extension Sessions {
    /// Looks at a token of ours, and if it is not one, asks somebody else who may vouch for it.
    package func authenticate(
        _ accessToken: String,
        orElse vouch: (@Sendable (String) async throws -> SessionCheck)?
    ) async throws -> SessionCheck {
        let check = try await authenticate(accessToken)
        guard case .invalidToken = check, let vouch else { return check }
        return try await vouch(accessToken)
    }

    /// The checks that are left when another has vouched for a token: session and user, as for our own tokens.
    ///
    /// - Throws: `RedisError` or `PostgresError` when a store is away: 503, never "let in".
    package func check(vouchedFor user: UserID, session handle: SessionHandle, until: ServerTime) async throws
        -> SessionCheck
    {
        guard case .alive(let touched) = try await touch(handle, of: user, token: nil) else { return .sessionExpired }
        guard let user = try await self.user(user), user.active else { return .disabled }
        // No token of ours came, so the session's id is not known here. One that nobody has fits no CSRF token; and none
        // is asked for, as browsers add no bearer token by themselves.
        return .valid(SignedIn(user: user, session: touched.session, tokenExpiresAt: until, sessionID: SessionID()))
    }
}
