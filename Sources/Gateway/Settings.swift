package import Configuration
import Foundation
import HoldfastCore
package import Logging
package import OAuth
package import Sessions

/// A setting that the service refuses to start with. The message names the variable and what it may be.
package struct SettingsError: Error, CustomStringConvertible {
    package let description: String

    init(_ name: String, _ problem: String) { description = "\(name) \(problem)" }
}

/// Everything that an operator can set, read once at start.
///
/// The table in `docs/configuration.md` describes each key; it and this initialiser change together.
package struct Settings: Sendable {
    package enum Environment: String, Sendable, CaseIterable { case development, production }
    package enum LogFormat: String, Sendable, CaseIterable { case text, json }

    package let host: String
    package let port: Int
    package let databaseURL: String
    package let redisURL: String
    /// The keys of `HOLDFAST_SECRETS` as they were given; ``SecretRing`` reads them.
    package let secrets: String
    package let environment: Environment
    package let corsOrigins: Set<String>
    package let trustedProxies: TrustedProxies
    package let sessionTTL: Duration
    package let sessionRefreshThreshold: Duration
    package let accessTokenTTL: Duration
    package let refreshTokenTTL: Duration
    package let duplicateLogin: DuplicateLogin
    package let requiredGroup: String?
    package let maxSessionsPerUser: Int
    package let maxConnectionsPerAddress: Int
    package let maxRequestsInFlight: Int
    package let stateTTL: Duration
    /// How long balancers need to notice that the instance is leaving.
    package let drainNotice: Duration
    package let instance: String
    package let paymentWebhookSecret: String?
    /// Who is told of every step of an order; nil for nobody.
    package let webhookURL: String?
    /// What a reader of `/metrics` must show; nil lets in whoever asks from this machine.
    package let metricsToken: String?
    /// The provider where people may sign in; nil without one.
    package let externalAuth: OAuthConfiguration?
    package let logLevel: Logger.Level
    package let logFormat: LogFormat

    /// Reads the environment.
    ///
    /// - `HOLDFAST_HOST` (127.0.0.1), `HOLDFAST_PORT` (8080; 0 takes a free one)
    /// - `DATABASE_URL`, `REDIS_URL`, `HOLDFAST_SECRETS`: required, secret
    /// - `HOLDFAST_ENV` (development), `CORS_ORIGINS` (none), `TRUSTED_PROXIES` (none)
    /// - `SESSION_TTL` (3600 s), `SESSION_REFRESH_THRESHOLD` (900 s), `ACCESS_TOKEN_TTL` (3600 s),
    ///   `REFRESH_TOKEN_TTL` (1209600 s), `STATE_TTL` (3600 s)
    /// - `DUPLICATE_LOGIN` (allow), `MAX_SESSIONS_PER_USER` (10), `MAX_CONNECTIONS_PER_ADDRESS` (10000),
    ///   `MAX_REQUESTS_IN_FLIGHT` (4096)
    /// - `REQUIRED_GROUP` (unset), `DRAIN_NOTICE_SECONDS` (5 s, 0 to 15)
    /// - `HOLDFAST_INSTANCE` (host:port), `PAYMENT_WEBHOOK_SECRET` (unset, secret), `WEBHOOK_URL` (unset, secret),
    ///   `METRICS_TOKEN` (unset, secret)
    /// - `LOG_LEVEL` (info), `LOG_FORMAT` (text)
    /// - `EXTERNAL_AUTH_…`: see ``externalAuth(_:_:)``
    ///
    /// - Throws: ``SettingsError`` that names the first variable that is missing or wrong.
    package init(config: ConfigReader) throws {
        let read = SettingsReader(config: config)
        host = read.string("HOLDFAST_HOST") ?? "127.0.0.1"
        port = try read.int("HOLDFAST_PORT", default: 8080, in: 0...65_535)
        databaseURL = try read.required("DATABASE_URL", for: "the PostgreSQL database, postgresql://…")
        redisURL = try read.required("REDIS_URL", for: "the Redis server, redis://… or rediss://…")
        environment = try read.choice("HOLDFAST_ENV", default: .development)
        secrets = try Self.secrets(read, environment)
        corsOrigins = try Self.origins(read, environment)
        trustedProxies = try Self.proxies(read)
        sessionTTL = try read.seconds("SESSION_TTL", default: 3_600)
        sessionRefreshThreshold = try read.seconds("SESSION_REFRESH_THRESHOLD", default: 900, from: 0)
        accessTokenTTL = try read.seconds("ACCESS_TOKEN_TTL", default: 3_600)
        refreshTokenTTL = try read.seconds("REFRESH_TOKEN_TTL", default: 1_209_600)
        duplicateLogin = try read.choice("DUPLICATE_LOGIN", default: DuplicateLogin.allow)
        requiredGroup = try Self.group(read)
        maxSessionsPerUser = try read.int("MAX_SESSIONS_PER_USER", default: 10, in: 1...1_000)
        maxConnectionsPerAddress = try read.int("MAX_CONNECTIONS_PER_ADDRESS", default: 10_000, in: 1...1_000_000)
        maxRequestsInFlight = try read.int("MAX_REQUESTS_IN_FLIGHT", default: 4_096, in: 1...1_000_000)
        stateTTL = try read.seconds("STATE_TTL", default: 3_600)
        drainNotice = .seconds(
            try read.int("DRAIN_NOTICE_SECONDS", default: 5, in: 0...Int(Drain.longestNotice / .seconds(1)))
        )
        instance = read.string("HOLDFAST_INSTANCE") ?? "\(host):\(port)"
        paymentWebhookSecret = read.string("PAYMENT_WEBHOOK_SECRET", isSecret: true)
        webhookURL = try Self.webhookURL(read, environment, secret: paymentWebhookSecret)
        metricsToken = try Self.metricsToken(read)
        externalAuth = try Self.externalAuth(read, environment)
        logLevel = try read.choice("LOG_LEVEL", default: .info)
        logFormat = try read.choice("LOG_FORMAT", default: .text)
    }

    private static func webhookURL(
        _ read: SettingsReader,
        _ environment: Environment,
        secret: String?
    ) throws -> String? {
        guard let text = read.string("WEBHOOK_URL", isSecret: true) else { return nil }
        guard let url = URL(string: text), let scheme = url.scheme, ["http", "https"].contains(scheme),
            let host = url.host, !host.isEmpty, url.user == nil, url.fragment == nil
        else {
            throw SettingsError("WEBHOOK_URL", "must be an address like https://shop.example/holdfast, without a user")
        }
        if environment == .production, scheme != "https" {
            throw SettingsError("WEBHOOK_URL", "must begin with https:// in production")
        }
        guard secret != nil else {
            throw SettingsError("WEBHOOK_URL", "needs PAYMENT_WEBHOOK_SECRET, with which the messages are signed")
        }
        return text
    }

    private static func metricsToken(_ read: SettingsReader) throws -> String? {
        guard let token = read.string("METRICS_TOKEN", isSecret: true) else { return nil }
        guard (16...256).contains(token.utf8.count), token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw SettingsError("METRICS_TOKEN", "must be 16 to 256 printable ASCII characters without spaces")
        }
        return token
    }

    private static func proxies(_ read: SettingsReader) throws -> TrustedProxies {
        let texts = (read.string("TRUSTED_PROXIES") ?? "").split(separator: ",")
        return TrustedProxies(
            try texts.map { text in
                guard let network = TrustedProxies.Network(text.trimmingCharacters(in: .whitespaces)) else {
                    throw SettingsError("TRUSTED_PROXIES", "has '\(text)'; write addresses or networks like 10.0.0.0/8")
                }
                return network
            }
        )
    }

    private static func group(_ read: SettingsReader) throws -> String? {
        guard let text = read.string("REQUIRED_GROUP") else { return nil }
        guard let name = Grants.name(text) else {
            throw SettingsError("REQUIRED_GROUP", "is '\(text)'; it must be one name, as in 'staff'")
        }
        return name
    }

    private static func secrets(_ read: SettingsReader, _ environment: Environment) throws -> String {
        let text = try read.required("HOLDFAST_SECRETS", for: "comma-separated base64 keys of 32 bytes or more")
        for (index, part) in text.split(separator: ",").enumerated() {
            guard let bytes = Data(base64Encoded: part.trimmingCharacters(in: .whitespaces)), bytes.count >= 32 else {
                throw SettingsError(
                    "HOLDFAST_SECRETS",
                    "key \(index + 1) is not base64 of 32 bytes or more; make one with: openssl rand -base64 32"
                )
            }
            if environment == .production, Set(bytes).count < 8 {
                throw SettingsError("HOLDFAST_SECRETS", "key \(index + 1) is too regular to be random")
            }
        }
        return text
    }

    private static func origins(_ read: SettingsReader, _ environment: Environment) throws -> Set<String> {
        let origins = (read.string("CORS_ORIGINS") ?? "").split(separator: ",").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        if environment == .production, origins.contains("*") {
            throw SettingsError("CORS_ORIGINS", "may not be * in production; list the origins")
        }
        for origin in origins where origin != "*" {
            guard let url = URL(string: origin), let scheme = url.scheme, ["http", "https"].contains(scheme),
                url.host != nil, origin.split(separator: "/", omittingEmptySubsequences: false).count == 3
            else {
                throw SettingsError("CORS_ORIGINS", "has '\(origin)'; write origins like https://tickets.example")
            }
        }
        return Set(origins)
    }
}

/// Reads single variables and turns what is wrong with them into a ``SettingsError``.
struct SettingsReader {
    let config: ConfigReader

    /// An empty variable counts as unset, as shells and compose files make them.
    func string(_ name: String, isSecret: Bool = false) -> String? {
        let key = ConfigKey(name.lowercased().split(separator: "_").map(String.init))
        guard let value = config.string(forKey: key, isSecret: isSecret), !value.isEmpty else { return nil }
        return value
    }

    func required(_ name: String, for purpose: String) throws -> String {
        guard let value = string(name, isSecret: true) else {
            throw SettingsError(name, "is not set; it names \(purpose)")
        }
        return value
    }

    func int(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = string(name) else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw SettingsError(
                name,
                "is '\(text)'; it must be a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return value
    }

    func seconds(_ name: String, default fallback: Int, from least: Int = 1) throws -> Duration {
        .seconds(try int(name, default: fallback, in: least...31_536_000))
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String, default fallback: Choice) throws
        -> Choice
    {
        guard let text = string(name) else { return fallback }
        guard let value = Choice(rawValue: text.lowercased()) else {
            let choices = Choice.allCases.map { $0.rawValue }.joined(separator: ", ")
            throw SettingsError(name, "is '\(text)'; it must be one of: \(choices)")
        }
        return value
    }
}
