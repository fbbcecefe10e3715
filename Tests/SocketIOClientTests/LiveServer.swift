import EngineIO
import EngineIOServer
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SocketIO
import SocketIOClient

/// Our own server on a free port for the time of one test.
enum LiveServer {
    static func with(
        port: Int = 0,
        engine change: (inout EngineConfiguration) -> Void = { _ in },
        _ install: (SocketIOServer) -> Void,
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let logger = Logger(label: "test.client") { _ in SwiftLogNoOpLogHandler() }
        let group = MultiThreadedEventLoopGroup.singleton
        let io = SocketIOServer(configuration: .init(), eventLoopGroup: group, logger: logger)
        install(io)
        var configuration = EngineConfiguration()
        change(&configuration)
        let engine = EngineServer(configuration: configuration, application: io, eventLoopGroup: group, logger: logger)
        let (ports, found) = AsyncStream<Int>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let application = Application(
            router: Router(),
            server: .engineIO([engine]),
            configuration: .init(address: .hostname("127.0.0.1", port: port)),
            onServerRunning: { channel in found.yield(channel.localAddress?.port ?? 0) },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
        let services = ServiceGroup(services: [application], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { found.finish() }
                try await services.run()
            }
            var isServing = false
            for await port in ports {
                isServing = true
                try await body(port)
                break
            }
            // Says why it did not start.
            if !isServing { try await tasks.waitForAll() }
            tasks.cancelAll()
        }
    }
}

/// A client whose events a test awaits one by one.
final class TestClient {
    let client: SocketIOClient
    private var events: AsyncStream<ClientEvent>.AsyncIterator

    init(_ port: Int, _ change: (inout ClientConfiguration) -> Void = { _ in }) throws {
        var configuration = ClientConfiguration()
        configuration.backoff = Backoff(first: .milliseconds(5), longest: .milliseconds(20))
        change(&configuration)
        let (stream, source) = AsyncStream<ClientEvent>.makeStream(bufferingPolicy: .bufferingOldest(10_000))
        let connector = try ClientConnector(ServerAddress(host: "127.0.0.1", port: port))
        self.client = SocketIOClient(connector, configuration, on: MultiThreadedEventLoopGroup.singleton.next()) {
            source.yield($0)
        }
        self.events = stream.makeAsyncIterator()
    }

    func next() async -> ClientEvent? { await self.events.next(isolation: #isolation) }

    func run(_ body: @escaping @Sendable (SocketIOClient) -> Void) async throws {
        let client = self.client
        try await client.eventLoop.submit { body(client) }.get()
    }

    /// Connects and waits until it is.
    func connected() async throws -> TestClient {
        try await self.run { $0.connect() }
        while let event = await self.next() { if case .connected = event { break } }
        return self
    }

    func call(
        _ event: String,
        _ arguments: [RawJSON] = [],
        timeout: TimeAmount = .seconds(20)
    ) async throws -> Result<[RawJSON], AckFailure> {
        let client = self.client
        let promise = client.eventLoop.makePromise(of: Result<[RawJSON], AckFailure>.self)
        client.eventLoop.execute {
            client.emit(event, arguments, timeout: timeout) { promise.succeed($0) }
        }
        return try await promise.futureResult.get()
    }
}
