import EngineIO
import NIOCore
import Redis
import SocketIO
import SocketIORedis
import Synchronization
import TestSupport
import Testing

/// Where sessions are kept in a test.
enum RecoveryBackend: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case memory, redis

    static let available = TestRedis.isConfigured ? Self.allCases : [.memory]

    var testDescription: String { self.rawValue }
}

/// Servers on which clients may come back.
enum RecoveryServers {
    /// Long enough for a slow machine; tests of the end of it choose their own.
    static let settings: ConnectionStateRecovery = {
        var settings = ConnectionStateRecovery()
        settings.maxDisconnectionDuration = .seconds(60)
        return settings
    }()

    static func configuration(_ change: (inout ConnectionStateRecovery) -> Void = { _ in }) -> SocketIOConfiguration {
        var configuration = SocketIOConfiguration()
        configuration.maxEventsPerSecond = nil
        configuration.maxPendingEvents = 100_000
        var settings = Self.settings
        change(&settings)
        configuration.connectionStateRecovery = settings
        return configuration
    }

    /// Handlers that do what their names say.
    static func install(on namespace: Namespace) {
        namespace.on("join") { socket, event in
            if let room = try? event.decode(String.self) { await socket.join(room) }
            event.ack()
        }
        namespace.on("leave") { socket, event in
            if let room = try? event.decode(String.self) { await socket.leave(room) }
            event.ack()
        }
        namespace.on("set") { socket, event in
            await socket.setData(event[0])
            event.ack()
        }
        namespace.on(
            "whoami",
            inline: { socket, event in
                let rooms = (try? RawJSON(encoding: socket.roomsOnLoop.subtracting([socket.id]).sorted()))?.string ?? ""
                let data = socket.data(as: RawJSON.self)?.string ?? "null"
                event.ack.send([RawJSON(trusted: "[\(socket.recovered),\(rooms),\(data)]")])
            }
        )
        namespace.on("me", inline: { socket, event in socket.emit("me", arguments: event.arguments) })
        namespace.on(
            "ask",
            inline: { socket, _ in
                socket.emit("question", arguments: [RawJSON(trusted: "1")], timeout: nil) { _ in }
            }
        )
        namespace.on(
            "all",
            inline: { socket, event in
                socket.namespace.all.emit("all", arguments: event.arguments)
            }
        )
        namespace.on(
            "maybe",
            inline: { socket, event in
                socket.namespace.all.volatile.emit("maybe", arguments: event.arguments)
            }
        )
        namespace.on("kick", inline: { socket, _ in socket.disconnect() })
        namespace.on("cut", inline: { socket, _ in socket.closeConnection() })
    }

    /// Runs `count` servers that are one; in memory there can be only one.
    static func with(
        _ backend: RecoveryBackend,
        _ count: Int = 1,
        url: String = TestRedis.url,
        prefix: String = TestRedis.uniqueKey("sio"),
        commandTimeout: Duration = .seconds(30),
        engine: @escaping @Sendable (inout EngineConfiguration) -> Void = { _ in },
        change: @escaping @Sendable (inout ConnectionStateRecovery) -> Void = { _ in },
        install: @escaping @Sendable (SocketIOServer) -> Void = { Self.install(on: $0.of("/")) },
        _ body: @escaping @Sendable ([TestServer]) async throws -> Void
    ) async throws {
        let redis = Redis(url: url, prefix: prefix, commandTimeout: commandTimeout)
        try await Self.with(backend, count, redis, [], engine, change, install, body)
    }

    private struct Redis: Sendable {
        var url: String
        var prefix: String
        var commandTimeout: Duration
    }

    private static func with(
        _ backend: RecoveryBackend,
        _ count: Int,
        _ redis: Redis,
        _ servers: [TestServer],
        _ engine: @escaping @Sendable (inout EngineConfiguration) -> Void,
        _ change: @escaping @Sendable (inout ConnectionStateRecovery) -> Void,
        _ install: @escaping @Sendable (SocketIOServer) -> Void,
        _ body: @escaping @Sendable ([TestServer]) async throws -> Void
    ) async throws {
        guard servers.count < count else { return try await body(servers) }
        let next: @Sendable (TestServer, RedisClient?) async throws -> Void = { server, client in
            var server = server
            server.prefix = redis.prefix
            server.redis = client
            try await Self.with(backend, count, redis, servers + [server], engine, change, install, body)
        }
        switch backend {
        case .memory:
            try await TestServer.with(engine: engine, socketIO: Self.configuration(change), install) {
                try await next($0, nil)
            }
        case .redis:
            let configure: (inout RedisConfiguration) -> Void = {
                $0.commandTimeout = redis.commandTimeout
                $0.reconnectDelay = .milliseconds(5) ... .milliseconds(20)
                // One is what an adapter uses at a time; then it can be stopped, see `stalled`.
                $0.connectionCount = 1
            }
            try await TestRedis.withClient(url: redis.url, configure: configure) { client in
                try await TestRedis.withSubscriber(url: redis.url, configure: configure) { subscriber in
                    let adapter = RedisAdapter(
                        client: client,
                        subscriber: subscriber,
                        prefix: redis.prefix,
                        logger: TestServer.logger
                    )
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        tasks.addTask { try await adapter.run() }
                        try await TestServer.with(
                            engine: engine,
                            socketIO: Self.configuration(change),
                            adapter: adapter,
                            install
                        ) { try await next($0, client) }
                        tasks.cancelAll()
                    }
                }
            }
        }
    }

    /// While `body` runs, a server that is alone on this Redis hears nothing from it but by Pub/Sub.
    static func stalled(
        _ server: TestServer,
        _ url: String,
        _ body: (RedisClient) async throws -> Void
    ) async throws {
        try await TestRedis.withClient(url: url) { raw in
            async let stall = server.redis?.send(RedisCommand("BLPOP", "stall", "0"))
            while try await raw.send(RedisCommand("INFO", "clients")).string?.contains("blocked_clients:1") != true {}
            try await body(raw)
            _ = try await raw.send(RedisCommand("RPUSH", "stall", "over"))
            _ = try await stall
        }
    }
}
