import EngineIO
import EngineIOServer
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Redis
import ServiceLifecycle
import SocketIO

/// A server on a free port for the time of one test.
struct TestServer {
    let port: Int
    let io: SocketIOServer
    /// Of the Redis keys, if there are any.
    var prefix = ""
    /// What its adapter speaks to Redis by.
    var redis: RedisClient?
    /// Runs the application; asked to shut down it must end by itself.
    let group: ServiceGroup

    static let logger = Logger(label: "test.protocol") { _ in SwiftLogNoOpLogHandler() }

    static func with(
        engine change: (inout EngineConfiguration) -> Void = { _ in },
        socketIO: SocketIOConfiguration = .init(),
        adapter: (any SocketAdapter)? = nil,
        gate: RequestGate? = nil,
        router: Router<BasicRequestContext> = Router(),
        application wrap: (SocketIOServer) -> any EngineApplication = { $0 },
        _ install: (SocketIOServer) -> Void,
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let io = SocketIOServer(configuration: socketIO, eventLoopGroup: group, logger: Self.logger)
        install(io)
        if let adapter { io.attach(adapter) }
        var configuration = EngineConfiguration()
        change(&configuration)
        let engine = EngineServer(
            configuration: configuration,
            application: wrap(io),
            eventLoopGroup: group,
            logger: Self.logger
        )
        let (ports, found) = AsyncStream<Int>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let application = Application(
            router: router,
            server: .engineIO([engine], gate: gate),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in found.yield(channel.localAddress?.port ?? 0) },
            eventLoopGroupProvider: .shared(group),
            logger: Self.logger
        )
        let services = ServiceGroup(services: [application], logger: Self.logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            for await port in ports {
                try await body(TestServer(port: port, io: io, group: services))
                break
            }
            tasks.cancelAll()
        }
    }
}
