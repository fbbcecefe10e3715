import Configuration
import Foundation
import Logging
import OAuth
import Redis
import Testing

@testable import Gateway

@Suite struct SettingsTests {
    private static let secret = Data((0..<32).map { UInt8($0) }).base64EncodedString()

    private static let least = [
        "DATABASE_URL": "postgresql://localhost/holdfast",
        "REDIS_URL": "redis://localhost/0",
        "HOLDFAST_SECRETS": secret,
    ]

    private func settings(_ changes: [String: String]) throws -> Settings {
        let variables = Self.least.merging(changes) { $1 }
        return try Settings(
            config: ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: variables))
        )
    }

    @Test(
        "However many event loops there are, Redis is asked 4,096 things at once over at most four connections",
        arguments: [(0, 1), (1, 1), (2, 2), (4, 4), (64, 4)]
    )
    func redisConnections(loops: Int, connections: Int) throws {
        let configuration = try Slices.redisConfiguration(url: "redis://localhost/0", loops: loops)
        #expect(configuration.connectionCount == connections)
        #expect(configuration.maxInFlight == 4_096 / connections)
    }

    @Test("Three variables are enough, and the rest is as documented")
    func defaults() throws {
        let settings = try settings([:])
        #expect((settings.host, settings.port) == ("127.0.0.1", 8080))
        #expect(settings.instance == "127.0.0.1:8080")
        #expect(settings.environment == .development)
        #expect(settings.sessionTTL == .seconds(3_600))
        #expect(settings.accessTokenTTL == .seconds(3_600))
        #expect(settings.refreshTokenTTL == .seconds(1_209_600))
        #expect(settings.corsOrigins == [])
        #expect(settings.drainNotice == .seconds(5))
        #expect(settings.logLevel == .info)
    }

    @Test(
        "A variable that is missing or wrong is named, and what is secret is not repeated",
        arguments: [
            ("DATABASE_URL", ""), ("REDIS_URL", ""), ("HOLDFAST_SECRETS", ""), ("HOLDFAST_SECRETS", "c2hvcnQ="),
            ("HOLDFAST_SECRETS", "not base64!"), ("HOLDFAST_PORT", "70000"), ("HOLDFAST_PORT", "http"),
            ("HOLDFAST_ENV", "staging"), ("SESSION_TTL", "0"), ("ACCESS_TOKEN_TTL", "1.5"),
            ("DUPLICATE_LOGIN", "maybe"), ("MAX_SESSIONS_PER_USER", "0"), ("DRAIN_NOTICE_SECONDS", "16"),
            ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml"),
        ]
    )
    func names(_ name: String, _ value: String) {
        let error = #expect(throws: SettingsError.self) { try settings([name: value]) }
        #expect(error?.description.hasPrefix("\(name) ") == true)
        if name == "HOLDFAST_SECRETS", !value.isEmpty { #expect(error?.description.contains(value) == false) }
    }

    @Test("Production refuses every origin and secrets that nobody drew at random")
    func production() {
        let production = ["HOLDFAST_ENV": "production"]
        #expect(throws: Never.self) { try settings(production) }
        #expect(throws: SettingsError.self) { try settings(production.merging(["CORS_ORIGINS": "*"]) { $1 }) }
        let weak = Data(repeating: 7, count: 32).base64EncodedString()
        #expect(throws: SettingsError.self) {
            try settings(production.merging(["HOLDFAST_SECRETS": "\(Self.secret),\(weak)"]) { $1 })
        }
    }

    @Test("Origins are separated by commas, and case does not matter to a choice")
    func lists() throws {
        let settings = try settings(["CORS_ORIGINS": "https://a.example, https://b.example", "LOG_LEVEL": "WARNING"])
        #expect(settings.corsOrigins == ["https://a.example", "https://b.example"])
        #expect(settings.logLevel == .warning)
    }

    // MARK: The provider

    private static let provider = [
        "EXTERNAL_AUTH_URL": "https://login.example/realm/",
        "EXTERNAL_AUTH_CLIENT_ID": "holdfast",
        "EXTERNAL_AUTH_CLIENT_SECRET": "s3cret",
    ]

    @Test("Three variables are enough for a provider, and without them there is none")
    func providerDefaults() throws {
        #expect(try settings([:]).externalAuth == nil)
        let provider = try #require(try settings(Self.provider).externalAuth)
        #expect(provider.issuer == "https://login.example/realm")
        #expect(provider.scopes == "openid profile email")
        #expect(provider.redirectURIs.isEmpty && provider.requiredGroup == nil && provider.introspection == .opaque)
    }

    @Test("Lists and endpoints of a provider are read")
    func providerLists() throws {
        let more = [
            "EXTERNAL_AUTH_REDIRECT_URIS": "https://shop.example/in, https://shop.example/in2",
            "EXTERNAL_AUTH_ENDPOINTS": "userinfo=/api/v1/auth/me, jwks=https://keys.example/k?a=b",
            "EXTERNAL_AUTH_ORIGINS": "https://keys.example", "EXTERNAL_AUTH_INTROSPECTION": "always",
        ]
        let provider = try #require(try settings(Self.provider.merging(more) { $1 }).externalAuth)
        #expect(provider.redirectURIs == ["https://shop.example/in", "https://shop.example/in2"])
        #expect(provider.endpoints == [.userinfo: "/api/v1/auth/me", .jwks: "https://keys.example/k?a=b"])
        #expect(provider.otherOrigins == ["https://keys.example"] && provider.introspection == .always)
    }

    @Test(
        "What is wrong with a provider's settings stops the start and is named",
        arguments: [
            ("EXTERNAL_AUTH_URL", ""), ("EXTERNAL_AUTH_URL", "login.example"),
            ("EXTERNAL_AUTH_URL", "https://a.example/?x"),
            ("EXTERNAL_AUTH_CLIENT_ID", ""), ("EXTERNAL_AUTH_CLIENT_SECRET", ""),
            ("EXTERNAL_AUTH_REDIRECT_URIS", "/in"), ("EXTERNAL_AUTH_LOGOUT_URIS", "javascript:x"),
            ("EXTERNAL_AUTH_ENDPOINTS", "userinfo"), ("EXTERNAL_AUTH_ENDPOINTS", "nothing=/x"),
            ("EXTERNAL_AUTH_ENDPOINTS", "token=x"), ("EXTERNAL_AUTH_ORIGINS", "https://a.example/path"),
            ("EXTERNAL_AUTH_INTROSPECTION", "never"),
        ]
    )
    func providerNames(_ name: String, _ value: String) {
        let error = #expect(throws: SettingsError.self) { try settings(Self.provider.merging([name: value]) { $1 }) }
        #expect(error?.description.hasPrefix("\(name) ") == true)
        #expect(error?.description.contains("s3cret") == false)
    }

    @Test("In production a provider needs https and a list of redirect addresses")
    func providerInProduction() throws {
        var variables = Self.provider.merging(["HOLDFAST_ENV": "production"]) { $1 }
        #expect(throws: SettingsError.self) { try settings(variables) }
        variables["EXTERNAL_AUTH_REDIRECT_URIS"] = "http://shop.example/in"
        #expect(throws: SettingsError.self) { try settings(variables) }
        variables["EXTERNAL_AUTH_REDIRECT_URIS"] = "https://shop.example/in"
        #expect(throws: Never.self) { try settings(variables) }
        variables["EXTERNAL_AUTH_URL"] = "http://login.example"
        #expect(throws: SettingsError.self) { try settings(variables) }
        variables["EXTERNAL_AUTH_URL"] = "http://127.0.0.1:4593/api/oidc"
        #expect(throws: Never.self) { try settings(variables) }
    }
}
