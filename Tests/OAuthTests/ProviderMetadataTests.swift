import FoundationEssentials
import Testing

@testable import OAuth

@Suite struct ProviderMetadataTests {
    private var configuration = OAuthConfiguration(
        issuer: "https://login.example/realm/",
        clientID: "holdfast",
        clientSecret: "s"
    )

    private func document(_ changes: [String: JSONValue] = [:]) -> JSONValue {
        .object(
            [
                "issuer": .string("https://login.example/realm"),
                "authorization_endpoint": .string("https://login.example/realm/auth"),
                "token_endpoint": .string("https://login.example/realm/token"),
                "jwks_uri": .string("https://login.example/realm/jwks"),
            ].merging(changes) { $1 }
        )
    }

    @Test("A document of the issuer is followed, with or without the slash at its end")
    func reads() throws {
        let metadata = try ProviderMetadata(document: document(), configuration: configuration)
        #expect(metadata.endpoints[.token] == "https://login.example/realm/token")
        #expect(metadata.endpoints[.introspect] == nil)
        #expect(!metadata.takesSecretInForm)
        let slash = try ProviderMetadata(
            document: document(["issuer": .string("https://login.example/realm/")]),
            configuration: configuration
        )
        #expect(slash.issuer == "https://login.example/realm/", "tokens are compared with what it calls itself")
    }

    @Test(
        "A document that speaks for another, or leads elsewhere, is an error",
        arguments: [
            ["issuer": "https://login.example"], ["issuer": "https://evil.example/realm"],
            ["token_endpoint": "https://evil.example/token"], ["token_endpoint": "http://login.example/realm/token"],
            ["token_endpoint": "https://login.example:8443/token"],
            ["token_endpoint": "https://login.example@evil.example/"], ["jwks_uri": "file:///etc/passwd"],
            ["jwks_uri": "https://login.example\\@evil.example/"], ["jwks_uri": "/relative"],
        ]
    )
    func refuses(_ change: [String: String]) {
        #expect(throws: OAuthError.self) {
            try ProviderMetadata(document: document(change.mapValues { .string($0) }), configuration: configuration)
        }
    }

    @Test("Endpoints may lie on another origin if the operator lists it")
    func otherOrigins() throws {
        var configuration = configuration
        configuration.otherOrigins = ["https://keys.example"]
        let change: [String: JSONValue] = ["jwks_uri": .string("https://keys.example:443/k")]
        let metadata = try ProviderMetadata(document: document(change), configuration: configuration)
        #expect(metadata.endpoints[.jwks] == "https://keys.example:443/k")
    }

    @Test("What the operator says of an endpoint goes before what the provider says")
    func configured() throws {
        var configuration = configuration
        configuration.endpoints = [.userinfo: "/api/v1/auth/me", .token: "https://login.example/other"]
        let metadata = try ProviderMetadata(document: document(), configuration: configuration)
        #expect(metadata.endpoints[.userinfo] == "https://login.example/realm/api/v1/auth/me")
        #expect(metadata.endpoints[.token] == "https://login.example/other")
        let conventional = try ProviderMetadata(conventional: configuration)
        #expect(conventional.endpoints[.authorize] == "https://login.example/realm/authorize")
        #expect(conventional.endpoints[.introspect] == nil && !conventional.hasDiscovery)
    }

    @Test("A secret goes into the form only at providers that take it nowhere else")
    func methods() throws {
        func inForm(_ methods: String...) throws -> Bool {
            let change: [String: JSONValue] = [
                "token_endpoint_auth_methods_supported": .array(methods.map { .string($0) })
            ]
            return try ProviderMetadata(document: document(change), configuration: configuration).takesSecretInForm
        }
        #expect(try inForm("client_secret_post"))
        #expect(try !inForm("client_secret_post", "client_secret_basic"))
        #expect(try !inForm())
    }

    @Test("An origin is scheme, host and port, and nothing else passes for one")
    func origins() {
        #expect(WebOrigin(of: "https://A.example:443/x?y")?.text == "https://a.example")
        #expect(WebOrigin(of: "http://127.0.0.1:8080")?.isLoopback == true)
        for text in [
            "", "//a.example", "ftp://a.example", "https://", "https://u:p@a.example", "https://a.example/#f",
            "https://a.example\\b", "https://a.exam ple", "https://a.example/\u{0}",
        ] {
            #expect(WebOrigin(of: text) == nil, "\(text)")
        }
    }
}
