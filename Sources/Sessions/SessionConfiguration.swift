/// What a second sign-in of one user means.
package enum DuplicateLogin: String, Sendable, CaseIterable {
    /// Both live, up to ``SessionConfiguration/maxSessionsPerUser``; then the oldest goes.
    case allow
    /// The newest wins.
    case replace
    /// The newest is refused.
    case reject
}

/// How long things live. The names of the settings are in the contract, section 2.
package struct SessionConfiguration: Sendable {
    package let secrets: SecretRing
    package var sessionTTL: Duration = .seconds(3_600)
    /// A request that finds less than this left extends the session to ``sessionTTL``.
    package var refreshThreshold: Duration = .seconds(900)
    package var accessTokenTTL: Duration = .seconds(3_600)
    package var refreshTokenTTL: Duration = .seconds(1_209_600)
    package var maxSessionsPerUser = 10
    package var duplicateLogin = DuplicateLogin.allow
    /// How long somebody waits for their turn at PostgreSQL before they are asked to come back.
    package var signInPatience: Duration = .seconds(5)
    package var issuer = "holdfast"
    package var audience = "holdfast"

    package init(secrets: SecretRing) { self.secrets = secrets }
}
