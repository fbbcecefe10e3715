import EngineIO
import NIOCore
import NIOPosix
import Redis
import SocketIO
import SocketIORedis
import Synchronization
import TestSupport
import Testing

@Suite(.enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20))) struct RedisAdapterRedisTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.any()

    /// A server behind an adapter on the Redis at `url`; the client is for looking at Redis.
    private static func withNode(
        url: String = TestRedis.url,
        prefix: String,
        commandTimeout: Duration = .seconds(20),
        _ body: (SocketIOServer, RedisClient) async throws -> Void
    ) async throws {
        try await TestRedis.withClient(url: url) { client in
            try await TestRedis.withSubscriber(
                url: url,
                configure: {
                    $0.commandTimeout = commandTimeout
                    $0.reconnectDelay = .milliseconds(5) ... .milliseconds(20)
                }
            ) { subscriber in
                let logger = TestRedis.logger
                let adapter = RedisAdapter(client: client, subscriber: subscriber, prefix: prefix, logger: logger)
                let io = SocketIOServer(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
                _ = io.of("/")
                io.attach(adapter)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { try await adapter.run() }
                    try await body(io, client)
                    tasks.cancelAll()
                }
            }
        }
    }

    @Test("A room is subscribed to while it has local members, not longer")
    func membership() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        try await Self.withNode(prefix: prefix) { io, client in
            let (_, one) = try await FakeConnection.join(io, on: Self.loop)
            let (_, two) = try await FakeConnection.join(io, on: Self.loop)
            await one.join("r")
            await two.join("r")
            // Joining returns when Redis has confirmed: no waiting here.
            let now = try await client.send(RedisCommand("PUBSUB", "SHARDNUMSUB", RedisArgument("\(prefix):{/}#r")))
            #expect(now.array?.last?.int == 1)
            await one.leave("r")
            two.disconnect()
            try await Cluster.subscribers(of: "\(prefix):{/}#r", become: 0, client)
            try await Cluster.subscribers(of: "\(prefix):{/}#", become: 1, client)
        }
    }

    @Test("A broadcast is one message on Redis, however many sockets, and comes back to none of our own")
    func onePublish() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        let (messages, message) = AsyncStream<ClusterMessage?>.makeStream(bufferingPolicy: .bufferingNewest(100))
        try await Self.withNode(prefix: prefix) { io, _ in
            try await TestRedis.withSubscriber { listener in
                try await listener.subscribe("\(prefix):{/}#r") { message.yield(ClusterMessage(decoding: $0)) }
                var connections: [FakeConnection] = []
                for _ in 0..<50 {
                    let (connection, socket) = try await FakeConnection.join(io, on: Self.loop)
                    await socket.join("r")
                    connections.append(connection)
                }
                for number in 0..<3 { io.to("r").emit("n", number) }
                var iterator = messages.makeAsyncIterator()
                for number in 0..<3 {
                    let seen = await iterator.next(isolation: #isolation) ?? nil
                    #expect(seen?.node == io.node)
                    guard case .broadcast(let packet, _)? = seen?.operation else { throw ChannelError.eof }
                    #expect(String(buffer: packet.text.payload) == #"42["n",\#(number)]"#)
                }
                // What another node says comes behind our own on the same channel: all of ours have come back by then.
                try await Self.withNode(prefix: prefix) { other, _ in
                    other.to("r").emit("theirs")
                    for connection in connections {
                        var sent = connection.sent.makeAsyncIterator()
                        for expected in [#"42["n",0]"#, #"42["n",1]"#, #"42["n",2]"#, #"42["theirs"]"#] {
                            #expect(await sent.next(isolation: #isolation) == expected)
                        }
                    }
                }
            }
        }
    }

    @Test("After a lost Pub/Sub connection the server is told, and rooms are subscribed to again")
    func missedMessages() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        let (notices, notice) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await PrivateRedis.with { redis in
            try await Self.withNode(url: redis.url, prefix: prefix) { io, client in
                io.onMissedMessages { notice.yield() }
                let (connection, socket) = try await FakeConnection.join(io, on: Self.loop)
                await socket.join("r")
                _ = try await client.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub"))
                var iterator = notices.makeAsyncIterator()
                await iterator.next(isolation: #isolation)
                try await Self.withNode(url: redis.url, prefix: prefix) { other, _ in
                    other.to("r").emit("again")
                    var sent = connection.sent.makeAsyncIterator()
                    #expect(await sent.next(isolation: #isolation) == #"42["again"]"#)
                }
            }
        }
    }

    @Test("A room left while Redis was away is not subscribed to when it is back")
    func leftDuringOutage() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        try await PrivateRedis.with { redis in
            try await Self.withNode(url: redis.url, prefix: prefix, commandTimeout: .milliseconds(100)) { io, client in
                let (_, socket) = try await FakeConnection.join(io, on: Self.loop)
                await redis.kill()
                await socket.join("r")  // Returns although Redis is away.
                #expect(io.of("/").localMemberCount("r") == 1)
                await socket.leave("r")
                try await redis.start()
                try await Cluster.subscribers(of: "\(prefix):{/}#", become: 1, client)
                try await Cluster.subscribers(of: "\(prefix):{/}#r", become: 0, client)
            }
        }
    }

    @Test("What could not be published is told to the other nodes as soon as Redis is back")
    func unpublished() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        let (notices, notice) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await PrivateRedis.with { redis in
            try await Self.withNode(url: redis.url, prefix: prefix) { other, client in
                other.onMissedMessages { notice.yield() }
                try await TestRedis.withClient(url: redis.url, configure: { $0.commandTimeout = .milliseconds(50) }) {
                    impatient in
                    try await TestRedis.withSubscriber(url: redis.url) { subscriber in
                        let adapter = RedisAdapter(
                            client: impatient,
                            subscriber: subscriber,
                            prefix: prefix,
                            logger: TestRedis.logger
                        )
                        let io = SocketIOServer(
                            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                            logger: TestRedis.logger
                        )
                        _ = io.of("/")
                        io.attach(adapter)
                        try await Cluster.subscribers(of: "\(prefix):{all}", become: 2, client)
                        await withTaskGroup(of: Void.self) { tasks in
                            tasks.addTask { try? await adapter.run() }
                            // Nobody's connection is lost: only what is published now is not confirmed in time.
                            redis.freeze()
                            io.emit("lost")
                            let counts = await io.to("r").counts()
                            #expect(counts.silentNodes == nil)
                            redis.resume()
                            var iterator = notices.makeAsyncIterator()
                            await iterator.next(isolation: #isolation)
                            tasks.cancelAll()
                        }
                    }
                }
            }
        }
    }

    @Test("A node whose connection to Redis ended is not waited for")
    func goneNode() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        try await Self.withNode(prefix: prefix) { io, client in
            let (_, socket) = try await FakeConnection.join(io, on: Self.loop)
            await socket.join("r")
            try await Self.withNode(prefix: prefix) { other, _ in
                let (_, socket) = try await FakeConnection.join(other, on: Self.loop)
                await socket.join("r")
                try await Cluster.subscribers(of: "\(prefix):{/}#", become: 2, client)
                #expect(await io.to("r").counts().elements == [2])
            }
            try await Cluster.subscribers(of: "\(prefix):{/}#", become: 1, client)
            let counts = await io.to("r").timeout(.minutes(10)).counts()
            #expect(counts.elements == [1])
            #expect(counts.isComplete)
        }
    }

    @Test("A pattern's namespace is subscribed to while it has local sockets, not longer")
    func patternNamespace() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        try await Self.withNode(prefix: prefix) { io, client in
            _ = io.of(/\/tenant-\d+/)
            let (connection, socket) = try await FakeConnection.join(io, "/tenant-7", on: Self.loop)
            await socket.join("r")
            try await Cluster.subscribers(of: "\(prefix):{/tenant-7}#", become: 1, client)
            try await Cluster.subscribers(of: "\(prefix):{/tenant-7}#r", become: 1, client)
            connection.receive("1/tenant-7,")
            try await Cluster.subscribers(of: "\(prefix):{/tenant-7}#r", become: 0, client)
        }
    }
}
