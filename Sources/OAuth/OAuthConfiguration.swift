/// What an operator says about the provider. The names of the settings are in `docs/configuration.md`.
package struct OAuthConfiguration: Sendable {
    /// When a token is looked at by asking the provider.
    package enum Introspection: String, Sendable, CaseIterable {
        /// Only tokens that we cannot verify ourselves.
        case opaque
        /// Every token, at most ``OAuthFront/introspectionLife`` old.
        case always
    }

    /// `EXTERNAL_AUTH_URL` without a slash at its end: the issuer, and where discovery starts.
    package let issuer: String
    package let clientID: String
    package let clientSecret: String
    /// Compared letter by letter; empty for ``isOwnPage`` to decide.
    package var redirectURIs: [String] = []
    package var postLogoutRedirectURIs: [String] = []
    package var scopes = "openid profile email"
    package var requiredGroup: String?
    /// Where the provider's endpoints are if it has no discovery, and instead of what discovery says.
    package var endpoints: [ProviderEndpoint: String] = [:]
    /// Origins other than the issuer's on which endpoints may lie.
    package var otherOrigins: Set<String> = []
    package var introspection = Introspection.opaque
    /// How long what is remembered of a session's tokens lives without being used.
    package var rememberedFor: Duration = .seconds(1_209_600)

    package init(issuer: String, clientID: String, clientSecret: String) {
        self.issuer = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        self.clientID = clientID
        self.clientSecret = clientSecret
    }
}
