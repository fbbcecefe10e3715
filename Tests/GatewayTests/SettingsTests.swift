import Configuration
import Foundation
import Logging
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
        #expect(settings.logLevel == .info)
    }

    @Test(
        "A variable that is missing or wrong is named, and what is secret is not repeated",
        arguments: [
            ("DATABASE_URL", ""), ("REDIS_URL", ""), ("HOLDFAST_SECRETS", ""), ("HOLDFAST_SECRETS", "c2hvcnQ="),
            ("HOLDFAST_SECRETS", "not base64!"), ("HOLDFAST_PORT", "70000"), ("HOLDFAST_PORT", "http"),
            ("HOLDFAST_ENV", "staging"), ("SESSION_TTL", "0"), ("ACCESS_TOKEN_TTL", "1.5"),
            ("DUPLICATE_LOGIN", "maybe"), ("MAX_SESSIONS_PER_USER", "0"), ("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml"),
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
}
