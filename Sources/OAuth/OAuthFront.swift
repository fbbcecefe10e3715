import HoldfastCore
package import Logging
package import NIOCore
package import Redis
import ServiceLifecycle

/// The front of an OAuth 2.0 or OpenID Connect provider: people sign in there, and get a session here.
///
/// Holdfast is the provider's confidential client; the page is Holdfast's. The page never sees the client's secret, and
/// what the provider says is believed only when its signature, or the provider itself, has said so. The slice knows
/// nothing of accounts and sessions: the Gateway joins them.
///
/// - Throws: `OAuthError` when the provider is away or talks nonsense, `RedisError` when Redis is away. Neither lets
///   anybody in.
package final class OAuthFront: Service, Sendable {
    /// From the provider's login page back to us.
    package static let pendingLife = Duration.seconds(600)
    /// How long an answer of the provider about a token is believed.
    package static let introspectionLife = Duration.seconds(10)
    /// How long a signature that was right is not checked again: keys are withdrawn seldom, but are.
    static let verifiedLife = Duration.seconds(60)
    /// Longer than exchanging a refresh token may take.
    static let refreshLock = Duration.seconds(15)
    /// Within which the same refresh token gives the same answer: a second tab, a lost answer.
    static let repeatLife = Duration.seconds(10)

    package let configuration: OAuthConfiguration
    let http: ProviderHTTP
    let directory: ProviderDirectory
    let verifier: ProviderTokenVerifier
    let store: TokenStore
    let pending: PendingSignIns
    let logger: Logger
    /// By token hash: the subject for whom the signature was right.
    let verified = BriefCache<String>()
    /// By token hash: whether the provider called it live, and for whom.
    let introspected = BriefCache<ProviderVerdict>()
    /// By token hash.
    let profiles = BriefCache<JSONValue>()

    /// - Parameter secrets: the entries of `HOLDFAST_SECRETS`.
    package init(
        configuration: OAuthConfiguration,
        secrets: [String],
        redis: RedisClient,
        eventLoopGroup: any EventLoopGroup,
        logger: Logger
    ) throws(OAuthError) {
        let vault = try OAuthVault(secrets: secrets)
        self.configuration = configuration
        self.logger = logger
        http = ProviderHTTP(eventLoopGroup: eventLoopGroup, logger: logger)
        directory = ProviderDirectory(configuration: configuration, http: http, logger: logger)
        verifier = ProviderTokenVerifier(clientID: configuration.clientID, directory: directory)
        store = TokenStore(redis: redis, vault: vault, rememberedFor: configuration.rememberedFor)
        pending = PendingSignIns(redis: redis, vault: vault)
    }

    /// Closes the connections to the provider when the service ends.
    package func run() async {
        do { try await gracefulShutdown() } catch {
            // Cancelled: the same, only sooner.
        }
        await http.shutDown()
    }

    // MARK: Health

    package struct Health: Sendable {
        package let issuer: String
        package let hasDiscovery: Bool
        package let hasIntrospection: Bool
        package let isAnswering: Bool
    }

    /// Asks the provider, at most every five seconds per instance.
    package func health() async throws -> Health {
        let metadata: ProviderMetadata
        if let recent = recentHealth.value("health") {
            metadata = recent
        } else {
            metadata = try await directory.read()
            recentHealth.keep(metadata, "health", for: .seconds(5))
        }
        return Health(
            issuer: configuration.issuer,
            hasDiscovery: metadata.hasDiscovery,
            hasIntrospection: metadata.endpoints[.introspect] != nil,
            isAnswering: http.isAnswering
        )
    }

    private let recentHealth = BriefCache<ProviderMetadata>()

    // MARK: Asking as a client

    /// RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
    func authorization(_ metadata: ProviderMetadata) -> String? {
        guard !metadata.takesSecretInForm else { return nil }
        let pair = FormText.escape(configuration.clientID) + ":" + FormText.escape(configuration.clientSecret)
        return "Basic " + base64(pair)
    }

    func post(
        _ endpoint: ProviderEndpoint,
        _ fields: [(String, String)],
        _ metadata: ProviderMetadata,
        repeats: Bool
    ) async throws -> ProviderAnswer? {
        guard let url = metadata.endpoints[endpoint] else { return nil }
        var form = fields
        if metadata.takesSecretInForm {
            form += [("client_id", configuration.clientID), ("client_secret", configuration.clientSecret)]
        }
        let answer = try await http.post(
            url,
            form: form,
            authorization: authorization(metadata),
            repeats: repeats
        )
        if answer.status == 401 || answer.errorName == "invalid_client" || answer.errorName == "unauthorized_client" {
            throw OAuthError(
                .providerAnswer,
                "provider: refuses us as a client at \(endpoint): check the client's secret"
            )
        }
        return answer
    }

    static var now: Int64 { ServerTime.now.millisecondsSinceEpoch / 1_000 }
}
