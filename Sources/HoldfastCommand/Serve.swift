import ArgumentParser
import Foundation
import Gateway
import Logging
import Metrics
import NIOCore
import NIOPosix
import PrometheusMetrics
import ServiceLifecycle
import UnixSignals

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs one instance until SIGTERM, which drains it.",
        discussion: """
            Settings (environment):
              HOLDFAST_HOST, HOLDFAST_PORT       where to listen [127.0.0.1, 8080]
              DATABASE_URL                       PostgreSQL, postgresql://… (required)
              REDIS_URL                          Redis, redis://… or rediss://… (required)
              HOLDFAST_SECRETS                   comma-separated base64 keys of 32 bytes or more; the first signs and
                                                 encrypts, the others still verify and decrypt (required)
              HOLDFAST_ENV                       development or production [development]
              CORS_ORIGINS                       allowed browser origins, comma-separated [same origin only]
              TRUSTED_PROXIES                    addresses or networks whose X-Forwarded-For is believed [none]
              SESSION_TTL                        seconds, sliding [3600]
              SESSION_REFRESH_THRESHOLD          seconds left below which a request extends the session [900]
              ACCESS_TOKEN_TTL, REFRESH_TOKEN_TTL  seconds [3600, 1209600]
              DUPLICATE_LOGIN                    allow, replace or reject [allow]
              MAX_SESSIONS_PER_USER              with allow; the oldest goes [10]
              REQUIRED_GROUP                     only members of it, and administrators, may use the service [unset]
              MAX_CONNECTIONS_PER_ADDRESS        sockets of one address [10000]
              MAX_REQUESTS_IN_FLIGHT             requests and socket events at work and in line; more get 503 [4096]
              STATE_TTL                          seconds a user's state outlives the last activity [3600]
              DRAIN_NOTICE_SECONDS               seconds of serving on after SIGTERM, until balancers notice [5]
              HOLDFAST_INSTANCE                  name in logs [host:port]
              PAYMENT_WEBHOOK_SECRET             signs incoming payment results and outgoing messages [unset]
              WEBHOOK_URL                        is told of every step of every order, signed [unset]
              METRICS_TOKEN                      bearer token of /metrics [unset: read from this machine only]
              EXTERNAL_AUTH_URL                  issuer of an OAuth 2.0 or OpenID provider; turns /oauth/* on [unset]
              EXTERNAL_AUTH_CLIENT_ID, EXTERNAL_AUTH_CLIENT_SECRET  this service there
              EXTERNAL_AUTH_REDIRECT_URIS        where browsers may come back to; needed in production [own pages]
              EXTERNAL_AUTH_LOGOUT_URIS          where they may go after signing out there [own pages]
              EXTERNAL_AUTH_SCOPES               asked for [openid profile email]
              EXTERNAL_AUTH_GROUP                only its members may sign in there [anybody]
              EXTERNAL_AUTH_INTROSPECTION        opaque or always: which tokens the provider is asked about [opaque]
              EXTERNAL_AUTH_ENDPOINTS            NAME=/path,… for providers without discovery [from discovery]
              EXTERNAL_AUTH_ORIGINS              other origins the provider's endpoints may lie on [none]
              LOG_LEVEL, LOG_FORMAT              [info], text or json [text]
              HOLDFAST_WEB                       folder of the static client [Web, beside the binary or above it]
            """
    )

    func run() async throws {
        let settings = try CommandContext.settings()
        let logger = LogSetup.logger(settings)
        // Before anything that measures is made.
        let registry = PrometheusRegistry(help: MetricHelp.all)
        MetricsSystem.bootstrap(registry)
        NIOSingletons.groupLoopCountSuggestion = Cores.available
        let group = MultiThreadedEventLoopGroup.singleton
        try await Self.requireFreeAddress(settings, group)
        let slices = try await Slices(settings: settings, eventLoopGroup: group, logger: logger)
        let gateway = try await Gateway(
            settings: settings,
            slices: slices,
            webRoot: try Installation.folder("Web", override: "HOLDFAST_WEB"),
            registry: registry,
            eventLoopGroup: group,
            logger: logger,
            onServing: { logger.info("serving", metadata: ["address": "http://\(settings.host):\($0)"]) }
        )
        var configuration = ServiceGroupConfiguration(
            services: gateway.services.map { .init(service: $0) },
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        // What is still running after this is cut off, so that the process leaves within its thirty seconds.
        configuration.maximumGracefulShutdownDuration = .seconds(28)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            throw CommandFailure(
                "cannot listen on \(settings.host):\(settings.port): \(reason); set HOLDFAST_HOST and HOLDFAST_PORT"
            )
        }
    }

    /// Listens for a moment where the service will, so that an address that cannot be had ends the command with one line
    /// before anything is started.
    private static func requireFreeAddress(_ settings: Settings, _ group: any EventLoopGroup) async throws {
        do {
            let bootstrap = ServerBootstrap(group: group).serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            try await bootstrap.bind(host: settings.host, port: settings.port).get().close().get()
        } catch {
            throw CommandFailure(
                "cannot listen on \(settings.host):\(settings.port), which is taken or is no address of this machine; "
                    + "set HOLDFAST_HOST and HOLDFAST_PORT"
            )
        }
    }
}
