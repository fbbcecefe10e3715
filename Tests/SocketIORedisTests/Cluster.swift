import EngineIO
import NIOCore
import NIOPosix
import Redis
import SocketIO
import SocketIORedis
import TestSupport

/// What joins the servers of a test. Every test of the shared suite runs with each.
enum Backend: CaseIterable, Sendable {
    case memory, redis

    static var available: [Backend] { TestRedis.isConfigured ? Self.allCases : [.memory] }
}

/// Several servers in one process that are one, on a backend.
struct Cluster: Sendable {
    let nodes: [SocketIOServer]
    /// Adds something to the main namespace that gets every message and answers none.
    let addSilentNode: @Sendable () async throws -> Void

    static let loop = MultiThreadedEventLoopGroup.singleton.any()

    static func with(
        _ backend: Backend,
        nodes count: Int = 3,
        configure: (inout SocketIOConfiguration) -> Void = { _ in },
        _ install: (SocketIOServer) -> Void = { _ in },
        _ body: (Cluster) async throws -> Void
    ) async throws {
        var configuration = SocketIOConfiguration()
        // The machine may be busy: a deadline is for the tests of deadlines.
        configuration.clusterTimeout = .seconds(30)
        configure(&configuration)
        let nodes = (0..<count).map { _ in
            let io = SocketIOServer(
                configuration: configuration,
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                logger: TestRedis.logger
            )
            _ = io.of("/")
            install(io)
            return io
        }
        switch backend {
        case .memory:
            let bus = InMemoryBus()
            for node in nodes { node.attach(bus.makeAdapter()) }
            try await body(Cluster(nodes: nodes, addSilentNode: { bus.listen { _ in } }))
        case .redis:
            try await Self.withRedis(nodes, body)
        }
    }

    private static func withRedis(
        _ nodes: [SocketIOServer],
        _ body: (Cluster) async throws -> Void
    ) async throws {
        let prefix = TestRedis.uniqueKey("sio")
        try await TestRedis.withClient { client in
            try await TestRedis.withSubscriber { silent in
                try await Self.attach(nodes[...], prefix, client) {
                    try await Self.subscribers(of: "\(prefix):{/}#", become: nodes.count, client)
                    try await Self.subscribers(of: "\(prefix):{all}", become: nodes.count, client)
                    let cluster = Cluster(
                        nodes: nodes,
                        addSilentNode: { try await silent.subscribe("\(prefix):{/}#") { _ in } }
                    )
                    try await body(cluster)
                }
            }
        }
    }

    /// Gives each node an adapter with a connection of its own, one inside the other.
    private static func attach(
        _ nodes: ArraySlice<SocketIOServer>,
        _ prefix: String,
        _ client: RedisClient,
        _ body: () async throws -> Void
    ) async throws {
        guard let node = nodes.first else { return try await body() }
        try await TestRedis.withSubscriber { subscriber in
            let adapter = RedisAdapter(
                client: client,
                subscriber: subscriber,
                prefix: prefix,
                logger: TestRedis.logger
            )
            node.attach(adapter)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await adapter.run() }
                try await Self.attach(nodes.dropFirst(), prefix, client, body)
                tasks.cancelAll()
            }
        }
    }

    /// Asks Redis until a channel has that many subscribers; the suite's time limit ends the wait.
    static func subscribers(of channel: String, become count: Int, _ client: RedisClient) async throws {
        let command = RedisCommand("PUBSUB", "SHARDNUMSUB", RedisArgument(channel))
        while try await client.send(command).array?.last?.int != count {}
    }
}
