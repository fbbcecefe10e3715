package import Accounts
import EngineIO
import EngineIOServer
package import Events
import Foundation
import HTTPTypes
import HoldfastCore
import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
import OAuth
package import Orders
package import Postgres
import Presence
package import PrometheusMetrics
package import Redis
package import Seating
package import ServiceLifecycle
package import Sessions
import SocketIO
import SocketIORedis
package import WaitingRoom

/// The slices with their stores, built once per process. Commands use what they need of it; ``Gateway`` uses all.
package struct Slices: Sendable {
    package let postgres: PostgresClient
    package let redis: RedisClient
    package let accounts: Accounts
    package let sessions: Sessions
    package let events: Events
    package let waitingRoom: WaitingRoom
    package let seating: Seating
    package let orders: Orders

    /// One connection for each event loop, four at most, and 4,096 commands in flight over all of them.
    ///
    /// A second connection on a loop carries nothing sooner: it only makes two system calls of what one would have taken,
    /// here and in Redis.
    static func redisConfiguration(url: String, loops: Int) throws(RedisError) -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: url)
        configuration.connectionCount = min(max(loops, 1), 4)
        configuration.maxInFlight = 4_096 / configuration.connectionCount
        return configuration
    }

    package init(settings: Settings, eventLoopGroup: any EventLoopGroup, logger: Logger) async throws {
        postgres = PostgresClient(configuration: try PostgresConfiguration(url: settings.databaseURL), logger: logger)
        redis = RedisClient(
            configuration: try Self.redisConfiguration(
                url: settings.redisURL,
                loops: Array(eventLoopGroup.makeIterator()).count
            ),
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
        let accounts = Accounts(postgres: postgres, passwords: PasswordHasher(), logger: logger)
        self.accounts = accounts
        var configuration = SessionConfiguration(secrets: try SecretRing(settings.secrets))
        configuration.sessionTTL = settings.sessionTTL
        configuration.refreshThreshold = settings.sessionRefreshThreshold
        configuration.accessTokenTTL = settings.accessTokenTTL
        configuration.refreshTokenTTL = settings.refreshTokenTTL
        configuration.maxSessionsPerUser = settings.maxSessionsPerUser
        configuration.duplicateLogin = settings.duplicateLogin
        sessions = await Sessions(redis: redis, postgres: postgres, configuration: configuration, logger: logger) {
            id in
            try await accounts.user(id).map { SessionUser($0) }
        }
        events = Events(postgres: postgres)
        let waitingRoom = WaitingRoom(redis: redis, postgres: postgres, events: events, logger: logger)
        self.waitingRoom = waitingRoom
        seating = Seating(
            redis: redis,
            postgres: postgres,
            events: events,
            passesKey: WaitingRoom.passesKey,
            restorePasses: { try await waitingRoom.restoreIfLost($0) },
            logger: logger
        )
        orders = Orders(
            postgres: postgres,
            seating: seating,
            events: events,
            // Play money buys no ticket in production, where no provider is built in yet: each method is refused.
            payments: SandboxPayments(isOffered: settings.environment != .production),
            webhookSecret: settings.paymentWebhookSecret,
            announces: settings.webhookURL != nil,
            logger: logger
        )
    }
}

/// One instance of the service: HTTP and Socket.IO at the edge, the slices behind it, and the work in the background.
package struct Gateway: Sendable {
    /// In the order in which they depend on each other; shutdown runs backwards.
    package let services: [any Service]

    /// - Parameters:
    ///   - webRoot: the folder of the static client.
    ///   - registry: what swift-metrics was bootstrapped with, for `/metrics`.
    package init(
        settings: Settings,
        slices: Slices,
        webRoot: String,
        registry: PrometheusRegistry,
        eventLoopGroup: any EventLoopGroup,
        logger: Logger,
        onServing: @escaping @Sendable (_ port: Int) -> Void
    ) async throws {
        let subscriber = RedisSubscriber(
            configuration: try RedisConfiguration(url: settings.redisURL),
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
        let secrets = settings.secrets.split(separator: ",").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
        let passes = EntryPasses(
            signer: try await EntryPassSigner(secrets: secrets),
            waitingRoom: slices.waitingRoom
        )
        let origins = OriginPolicy(allowed: settings.corsOrigins)
        let drain = DrainState()
        let load = LoadGuard(
            .init(most: settings.maxRequestsInFlight),
            origins: origins,
            eventLoop: eventLoopGroup.next()
        )
        let presence = Presence(redis: slices.redis, stateTTL: settings.stateTTL)
        let oauth = try settings.externalAuth.map { configuration in
            try OAuthFront(
                configuration: configuration,
                secrets: secrets,
                redis: slices.redis,
                eventLoopGroup: eventLoopGroup,
                logger: logger
            )
        }
        let vouch = oauth.map { OAuthVouching.check($0, slices.sessions) }

        // Socket.IO and what carries messages to its sockets.
        let io = SocketIOServer(
            configuration: SocketIOConfiguration(),
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
        let adapter = RedisAdapter(client: slices.redis, subscriber: subscriber, prefix: "hf:sio", logger: logger)
        io.attach(adapter)
        let namespace = io.of("/")
        let sockets = LocalSockets()
        // Before every other handler: a socket counts at once, not when it has been put back into its rooms.
        let addresses = AddressLimit(most: settings.maxConnectionsPerAddress)
        let proxies = settings.trustedProxies
        namespace.onConnection(inline: { addresses.connected($0.handshake.client(behind: proxies)) })
        namespace.onDisconnect(inline: { socket, _ in addresses.disconnected(socket.handshake.client(behind: proxies)) }
        )
        let announcer = EventAnnouncer(
            events: slices.events,
            seating: slices.seating,
            namespace: namespace,
            sockets: sockets,
            logger: logger
        )
        let relay = SeatRelay(
            subscriber: subscriber,
            seating: slices.seating,
            events: slices.events,
            namespace: namespace,
            sockets: sockets,
            logger: logger,
            onMoved: { announcer.seatsMoved(in: $0) }
        )
        let notices = QueueNotices(sockets: sockets, passes: passes, logger: logger)
        let feed = QueueFeed(
            waitingRoom: slices.waitingRoom,
            subscriber: subscriber,
            notify: { await notices.deliver($2, of: $1, by: $0) }
        )
        let standings = StandingWriter(passes: passes, feed: feed)
        let rooms = RoomInfoAnnouncer(
            presence: presence,
            redis: slices.redis,
            namespace: namespace,
            sockets: sockets,
            logger: logger
        )
        let sessionGuard = SessionGuard(
            sockets: sockets,
            sessions: slices.sessions,
            presence: presence,
            refreshThreshold: settings.sessionRefreshThreshold,
            logger: logger
        )
        let gateway = SocketGateway(
            namespace: namespace,
            sockets: sockets,
            sessions: slices.sessions,
            events: slices.events,
            waitingRoom: slices.waitingRoom,
            seating: slices.seating,
            presence: presence,
            feed: feed,
            relay: relay,
            rooms: rooms,
            announcer: announcer,
            sessionGuard: sessionGuard,
            requiredGroup: settings.requiredGroup,
            vouch: vouch,
            standings: standings,
            load: load,
            logger: logger
        )
        gateway.install()

        let stores = Stores(postgres: slices.postgres, redis: slices.redis)
        let engine = Self.engine(io, addresses, proxies, origins, drain, load, eventLoopGroup, logger)
        let watched = SocketMetrics()
        namespace.onConnection(inline: { _ in watched.connected() })
        namespace.onDisconnect(inline: { _, reason in watched.disconnected(reason) })
        let authenticator = Authenticator(
            sessions: slices.sessions,
            origins: origins,
            requiredGroup: settings.requiredGroup,
            vouch: vouch
        )
        let accountRoutes = AccountRoutes(
            accounts: slices.accounts,
            sessions: slices.sessions,
            throttle: LoginThrottle(redis: slices.redis),
            audit: AuditLog(postgres: slices.postgres),
            authenticator: authenticator,
            registrationSignsIn: settings.duplicateLogin != .reject
        )
        let requests = RequestMetrics()
        let (router, book) = Self.router(
            settings,
            requests,
            slices,
            stores,
            presence,
            standings,
            authenticator,
            drain,
            webRoot,
            oauth
        )
        accountRoutes.add(to: router)
        let process = ProcessFigures(version: Build.version)
        // Every code is there from the beginning, with 0.
        _ = RefusalMetrics.shared
        MetricsRoutes(
            registry: registry,
            process: process,
            update: { await engine.updateMetrics() },
            token: settings.metricsToken
        ).add(to: router)
        book.write(KnownAddresses(router))
        let application = Application(
            router: router,
            server: .engineIO(
                [engine],
                direct: DirectRoutes(
                    requests.counting(accountRoutes.direct(logger: logger)),
                    eventLoopGroup: eventLoopGroup
                ),
                gate: load.gate
            ),
            configuration: .init(address: .hostname(settings.host, port: settings.port), backlog: 4_096),
            onServerRunning: { channel in onServing(channel.localAddress?.port ?? settings.port) },
            eventLoopGroupProvider: .shared(eventLoopGroup),
            logger: logger
        )
        var services: [any Service] = [
            slices.postgres,
            slices.redis,
            subscriber,
            StoreWatch(stores: stores, logger: logger),
            RevivalGuard(sessions: slices.sessions, redis: slices.redis, logger: logger),
            RedisLives(
                redis: slices.redis,
                postgres: slices.postgres,
                seating: slices.seating,
                waitingRoom: slices.waitingRoom,
                logger: logger
            ),
            Reconciler(
                redis: slices.redis,
                postgres: slices.postgres,
                seating: slices.seating,
                waitingRoom: slices.waitingRoom,
                logger: logger
            ),
            adapter,
            SessionWatcher(
                subscriber: subscriber,
                logger: logger,
                onEnded: { sessionGuard.ended($0) },
                onAccountChanged: { slices.accounts.forget($0) },
                onGap: {
                    slices.accounts.forgetAll()
                    sessionGuard.checkAllSoon()
                }
            ),
            QueueLeader(waitingRoom: slices.waitingRoom, onStatusChanged: { slices.events.forget($0.id) }),
            HoldSweeper(seating: slices.seating, redis: slices.redis, postgres: slices.postgres, logger: logger),
            HistoryWriter(redis: slices.redis, postgres: slices.postgres, logger: logger),
            OrderSweeper(orders: slices.orders, logger: logger),
            RefreshCleaner(sessions: slices.sessions, logger: logger),
            AccessWriter(sessions: slices.sessions, logger: logger),
            feed,
            QueueArrivals(
                subscriber: subscriber,
                logger: logger,
                onArrived: { await gateway.arrived($1, inQueueOf: $0) }
            ),
            rooms,
            announcer,
            sessionGuard,
            application,
            Drain(state: drain, sockets: sockets, notice: settings.drainNotice, logger: logger),
        ]
        if let url = settings.webhookURL, let secret = settings.paymentWebhookSecret {
            let http = WebhookHTTP(url: url, eventLoopGroup: eventLoopGroup, logger: logger)
            let sender = WebhookSender(postgres: slices.postgres, secret: secret, logger: logger) {
                try await http.post($0, $1)
            }
            services.insert(contentsOf: [http, sender] as [any Service], at: 2)
        }
        // After the stores, before whoever asks it: it closes its connections when nobody will ask any more.
        if let oauth {
            services.insert(oauth, at: 2)
            services.insert(
                ProviderFarewell(front: oauth, endings: slices.sessions.endings, logger: logger),
                at: 3
            )
        }
        self.services = services
    }

    private static func engine(
        _ io: SocketIOServer,
        _ addresses: AddressLimit,
        _ proxies: TrustedProxies,
        _ origins: OriginPolicy,
        _ drain: DrainState,
        _ load: LoadGuard,
        _ eventLoopGroup: any EventLoopGroup,
        _ logger: Logger
    ) -> EngineServer {
        var configuration = EngineConfiguration()
        configuration.cors = .origins(credentials: true) { origins.allows($0, host: $1) }
        configuration.allowRequest = { request in
            if let origin = request.header("Origin"), !origins.allows(origin, host: request.header("Host")) {
                return EngineRefusal(status: 403, message: "Origin not allowed")
            }
            let why: String? =
                if drain.refusesSockets {
                    "This instance is leaving; connect again in a moment"
                } else if load.isFull {
                    "More is asked of this instance than it can do; connect again in a moment"
                } else if addresses.isFull(request.client(behind: proxies)) {
                    "Too many sockets from your address, at most \(addresses.most); close some"
                } else {
                    nil
                }
            if let why {
                return EngineRefusal(status: 503, message: why, retryAfterSeconds: Int.random(in: 1...5))
            }
            return nil
        }
        return EngineServer(
            path: "/socket.io/",
            configuration: configuration,
            application: io,
            eventLoopGroup: eventLoopGroup,
            logger: logger
        )
    }

    private static func router(
        _ settings: Settings,
        _ requests: RequestMetrics,
        _ slices: Slices,
        _ stores: Stores,
        _ presence: Presence,
        _ standings: StandingWriter,
        _ authenticator: Authenticator,
        _ drain: DrainState,
        _ webRoot: String,
        _ oauth: OAuthFront?
    ) -> (Router<GatewayContext>, ProblemMiddleware.AddressBook) {
        let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: requests)
        if !settings.trustedProxies.networks.isEmpty {
            router.add(middleware: ClientAddressMiddleware(proxies: settings.trustedProxies))
        }
        router.add(middleware: SecurityHeadersMiddleware())
        router.add(middleware: OriginMiddleware(policy: authenticator.origins))
        let book = ProblemMiddleware.AddressBook()
        router.add(middleware: ProblemMiddleware(addresses: book))
        router.add(
            middleware: FileMiddleware(
                webRoot,
                cacheControl: .init([(MediaType(type: .any), [.noCache])]),
                searchForIndexHtml: true
            )
        )
        let audit = AuditLog(postgres: slices.postgres)
        SessionRoutes(sessions: slices.sessions, authenticator: authenticator, audit: audit, oauth: oauth).add(
            to: router
        )
        AdminSessionRoutes(
            accounts: slices.accounts,
            sessions: slices.sessions,
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        AdminAccountRoutes(
            accounts: slices.accounts,
            sessions: slices.sessions,
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        if let oauth {
            OAuthRoutes(
                front: oauth,
                accounts: slices.accounts,
                externalAccounts: ExternalAccounts(postgres: slices.postgres),
                sessions: slices.sessions,
                throttle: LoginThrottle(redis: slices.redis),
                audit: audit,
                authenticator: authenticator,
                origins: authenticator.origins
            ).add(to: router)
        }
        EventRoutes(events: slices.events, seating: slices.seating).add(to: router)
        AdminEventRoutes(
            events: slices.events,
            waitingRoom: slices.waitingRoom,
            seating: slices.seating,
            orders: slices.orders,
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        HistoryRoutes(
            events: slices.events,
            accounts: slices.accounts,
            waitingRoom: slices.waitingRoom,
            seats: SeatHistory(redis: slices.redis, postgres: slices.postgres),
            orders: slices.orders,
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        WebhookRoutes(
            deliveries: WebhookDeliveries(postgres: slices.postgres),
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        QueueRoutes(
            events: slices.events,
            waitingRoom: slices.waitingRoom,
            presence: presence,
            standings: standings,
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        SeatRoutes(
            events: slices.events,
            seating: slices.seating,
            presence: presence,
            authenticator: authenticator,
            audit: audit
        ).add(to: router)
        OrderRoutes(events: slices.events, orders: slices.orders, authenticator: authenticator).add(to: router)
        HealthRoutes(stores: stores, drain: drain, sessions: slices.sessions, instance: settings.instance).add(
            to: router
        )
        DocsRoute(webRoot: webRoot).add(to: router)
        return (router, book)
    }
}
