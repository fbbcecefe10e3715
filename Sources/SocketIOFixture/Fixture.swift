import ArgumentParser
import EngineIO
import EngineIOServer
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Redis
import ServiceLifecycle
import SocketIO
import SocketIORedis

/// A small server for protocol suites, clients from elsewhere and load generators.
@main
struct Fixture: AsyncParsableCommand {
    enum Profile: String, ExpressibleByArgument {
        case `default`, recovery, options, bench
    }

    static let configuration = CommandConfiguration(
        commandName: "SocketIOFixture",
        abstract: "Serves an echoing Engine.IO endpoint and a Socket.IO application for tests."
    )

    @Option(help: "Port on 127.0.0.1.")
    var port: Int = 3000

    @Option(help: "Settings: default, recovery, options or bench.")
    var profile: Profile = .default

    @Option(help: "Redis that joins several fixtures into one.")
    var redisUrl: String?

    @Option(help: "Secret of the HS256 tokens that the main namespace then asks for.")
    var jwtSecret: String?

    @Option(help: "Milliseconds that a pong may take, instead of the profile's.")
    var pingTimeout: Int?

    @Option(help: "Number of event loops.")
    var threads: Int = 1

    func run() async throws {
        if self.threads <= 1 { Allocator.useOneArena() }
        var logger = Logger(label: "socketio.fixture")
        logger.logLevel = .warning
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, self.threads))
        let io = SocketIOServer(configuration: self.socketIOSettings, eventLoopGroup: group, logger: logger)
        FixtureApplication(io: io, profile: self.profile).install(jwtSecret: self.jwtSecret)
        let settings = self.engineSettings
        let engines = [
            EngineServer(
                path: "/engine.io/",
                configuration: settings,
                application: EchoApplication(),
                eventLoopGroup: group,
                logger: logger
            ),
            EngineServer(
                path: "/socket.io/",
                configuration: settings,
                application: io,
                eventLoopGroup: group,
                logger: logger
            ),
        ]
        var services: [any Service] = []
        if let url = self.redisUrl {
            let configuration = try RedisConfiguration(url: url)
            let client = RedisClient(configuration: configuration, eventLoopGroup: group, logger: logger)
            let subscriber = RedisSubscriber(configuration: configuration, eventLoopGroup: group, logger: logger)
            let adapter = RedisAdapter(client: client, subscriber: subscriber, prefix: "fixture:sio", logger: logger)
            io.attach(adapter)
            services += [client, subscriber, adapter]
        }
        let application = Application(
            router: Router(),
            server: .engineIO(engines),
            configuration: .init(address: .hostname("127.0.0.1", port: self.port), backlog: 4096),
            services: services,
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
        try await application.runService()
    }

    private var engineSettings: EngineConfiguration {
        var settings = EngineConfiguration()
        settings.pingInterval = self.profile == .bench ? .seconds(25) : .milliseconds(300)
        settings.pingTimeout = self.profile == .bench ? .seconds(20) : .milliseconds(200)
        if let pingTimeout { settings.pingTimeout = .milliseconds(Int64(pingTimeout)) }
        settings.upgradeTimeout = .milliseconds(1000)
        settings.maxPayload = self.profile == .options ? 10_000 : 1_000_000
        settings.cors =
            self.profile == .options
            ? .origins(credentials: true, allows: { origin, _ in origin == "http://allowed.example" }) : .any
        if self.profile == .options { settings.cookie = EngineCookie(name: "io") }
        settings.perMessageDeflate = self.profile == .options ? PerMessageDeflate(threshold: 1024) : nil
        // An echo of the largest message has to fit, several times over.
        settings.maxPendingOutboundBytes = 8 * 1024 * 1024
        return settings
    }

    private var socketIOSettings: SocketIOConfiguration {
        var settings = SocketIOConfiguration()
        settings.connectTimeout = self.profile == .bench ? .seconds(45) : .milliseconds(1000)
        settings.maxEventsPerSecond = nil
        settings.maxPendingEvents = 100_000
        settings.maxPendingAcks = 100_000
        settings.maxNamespacesPerConnection = 1_000
        settings.maxJSONDepth = 512
        if self.profile == .recovery {
            var recovery = ConnectionStateRecovery()
            recovery.maxDisconnectionDuration = .milliseconds(2000)
            settings.connectionStateRecovery = recovery
        }
        return settings
    }
}
