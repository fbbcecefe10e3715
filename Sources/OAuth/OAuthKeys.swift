import HoldfastCore

/// Every Redis key of this slice. Tokens, states and provider sessions stand in them as SHA-256 only.
enum OAuthKeys {
    /// A sign-in that has begun (sealed); taken once, lives ``OAuthFront/pendingLife``.
    static func pending(_ hash: String) -> String { "hf:{oauth:\(hash)}:pending" }

    /// What a token of the provider belongs to (sealed ``TrackedToken``); lives as long as the token.
    static func token(_ hash: String) -> String { "hf:{oauth:\(hash)}:token" }

    /// Set when a token was taken back; lives exactly as long as the token would have.
    static func dead(_ hash: String) -> String { "hf:{oauth:\(hash)}:dead" }

    /// Held by who is exchanging a refresh token.
    static func refreshing(_ hash: String) -> String { "hf:{oauth:\(hash)}:refreshing" }

    /// What came of it (sealed), for who asks the same within 10 seconds.
    static func successor(_ hash: String) -> String { "hf:{oauth:\(hash)}:successor" }

    /// Set of `USER HANDLE`: our sessions that one session at the provider stands behind.
    static func providerSession(_ hash: String) -> String { "hf:{oauth:\(hash)}:sessions" }

    /// A logout token that was carried out, so that it is carried out once.
    static func logoutToken(_ hash: String) -> String { "hf:{oauth:\(hash)}:logout" }

    /// The provider's tokens behind one of our sessions (sealed ``ProviderGrant``).
    static func grant(of session: String, user: UserID) -> String { "hf:{user:\(user)}:oauth:\(session)" }
}
