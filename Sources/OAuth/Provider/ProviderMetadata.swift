import FoundationEssentials

/// What can be asked of a provider, under the names of the setting `EXTERNAL_AUTH_ENDPOINTS`.
package enum ProviderEndpoint: String, Sendable, CaseIterable {
    case authorize, token, userinfo, revoke, introspect, jwks, logout

    /// Its name in a discovery document (RFC 8414 and OpenID Connect Discovery, RP-Initiated Logout).
    var discoveryName: String {
        switch self {
        case .authorize: "authorization_endpoint"
        case .token: "token_endpoint"
        case .userinfo: "userinfo_endpoint"
        case .revoke: "revocation_endpoint"
        case .introspect: "introspection_endpoint"
        case .jwks: "jwks_uri"
        case .logout: "end_session_endpoint"
        }
    }

    /// Where it is, below the issuer, at a provider without discovery of which nothing else was said.
    var conventionalPath: String? {
        switch self {
        case .authorize: "/authorize"
        case .token: "/token"
        case .userinfo: "/userinfo"
        case .revoke: "/revoke"
        // A provider that does not say that it has them probably has none.
        case .introspect, .jwks, .logout: nil
        }
    }
}

/// Where a provider's endpoints are, and what it said of itself; checked, so that it can be asked without a further look.
struct ProviderMetadata: Sendable, Equatable {
    let issuer: String
    let endpoints: [ProviderEndpoint: String]
    /// Whether client credentials go into the form (`client_secret_post`) instead of a header.
    let takesSecretInForm: Bool
    /// Whether answers to the browser name the issuer (RFC 9207), so that one without it is somebody else's.
    let namesIssuerInAnswers: Bool
    let hasDiscovery: Bool

    /// Reads a discovery document.
    ///
    /// - Throws: ``OAuthError`` if it speaks for another issuer (OpenID Connect Discovery, 4.3), or leads to an origin that
    ///   is neither the issuer's nor one the operator has listed.
    init(document: JSONValue, configuration: OAuthConfiguration) throws(OAuthError) {
        guard let stated = document["issuer"]?.string,
            stated == configuration.issuer || stated == configuration.issuer + "/"
        else {
            throw OAuthError(.providerAnswer, "discovery: the document's issuer is not EXTERNAL_AUTH_URL")
        }
        var endpoints: [ProviderEndpoint: String] = [:]
        for endpoint in ProviderEndpoint.allCases {
            let url = Self.configured(endpoint, configuration) ?? document[endpoint.discoveryName]?.string
            guard let url else { continue }
            endpoints[endpoint] = try Self.checked(url, endpoint, configuration)
        }
        let methods = document["token_endpoint_auth_methods_supported"]?.strings ?? []
        try self.init(
            issuer: stated,
            endpoints: endpoints,
            takesSecretInForm: !methods.isEmpty && !methods.contains("client_secret_basic")
                && methods.contains("client_secret_post"),
            namesIssuerInAnswers: document["authorization_response_iss_parameter_supported"]?.bool == true,
            hasDiscovery: true
        )
    }

    /// What is assumed of a provider without discovery.
    init(conventional configuration: OAuthConfiguration) throws(OAuthError) {
        var endpoints: [ProviderEndpoint: String] = [:]
        for endpoint in ProviderEndpoint.allCases {
            let url =
                Self.configured(endpoint, configuration)
                ?? endpoint.conventionalPath.map { configuration.issuer + $0 }
            guard let url else { continue }
            endpoints[endpoint] = try Self.checked(url, endpoint, configuration)
        }
        try self.init(
            issuer: configuration.issuer,
            endpoints: endpoints,
            takesSecretInForm: false,
            namesIssuerInAnswers: false,
            hasDiscovery: false
        )
    }

    private init(
        issuer: String,
        endpoints: [ProviderEndpoint: String],
        takesSecretInForm: Bool,
        namesIssuerInAnswers: Bool,
        hasDiscovery: Bool
    ) throws(OAuthError) {
        guard endpoints[.authorize] != nil, endpoints[.token] != nil else {
            throw OAuthError(.providerAnswer, "discovery: no authorization or token endpoint")
        }
        self.issuer = issuer
        self.endpoints = endpoints
        self.takesSecretInForm = takesSecretInForm
        self.namesIssuerInAnswers = namesIssuerInAnswers
        self.hasDiscovery = hasDiscovery
    }

    /// A path of the setting hangs below the issuer, unless it is a whole address.
    private static func configured(_ endpoint: ProviderEndpoint, _ configuration: OAuthConfiguration) -> String? {
        configuration.endpoints[endpoint].map { $0.hasPrefix("/") ? configuration.issuer + $0 : $0 }
    }

    private static func checked(
        _ url: String,
        _ endpoint: ProviderEndpoint,
        _ configuration: OAuthConfiguration
    ) throws(OAuthError) -> String {
        guard let origin = WebOrigin(of: url) else {
            throw OAuthError(.providerAnswer, "discovery: \(endpoint.discoveryName) is no http(s) address")
        }
        guard origin == WebOrigin(of: configuration.issuer) || configuration.otherOrigins.contains(origin.text) else {
            throw OAuthError(
                .providerAnswer,
                "discovery: \(endpoint.discoveryName) lies on another origin; list it in EXTERNAL_AUTH_ORIGINS if it may"
            )
        }
        return url
    }
}

/// Scheme, host and port of an address.
package struct WebOrigin: Sendable, Equatable {
    package let text: String
    package let isSecure: Bool
    package let isLoopback: Bool

    /// Nil for what is no absolute http(s) address, has a user, a fragment or a backslash, or is longer than 2,048 bytes.
    package init?(of url: String) {
        guard url.utf8.count <= 2_048, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") }),
            let parsed = URL(string: url), let scheme = parsed.scheme?.lowercased(),
            scheme == "https" || scheme == "http", let host = parsed.host()?.lowercased(), !host.isEmpty,
            parsed.user() == nil, parsed.password() == nil, parsed.fragment() == nil
        else { return nil }
        let usual = scheme == "https" ? 443 : 80
        let port = parsed.port ?? usual
        text = port == usual ? "\(scheme)://\(host)" : "\(scheme)://\(host):\(port)"
        isSecure = scheme == "https"
        isLoopback = ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host)
    }
}
