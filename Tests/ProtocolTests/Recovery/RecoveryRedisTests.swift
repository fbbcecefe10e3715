import EngineIO
import NIOCore
import Redis
import SocketIO
import SocketIORedis
import Synchronization
import TestSupport
import Testing

/// Connection state recovery between nodes that share a Redis.
@Suite(.enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20))) struct RecoveryRedisTests {
    @Test("Who lost one node comes back on another, as the same socket")
    func otherNode() async throws {
        try await RecoveryServers.with(.redis, 2) { servers in
            let first = try await RecoveryClient.connect(servers[0].port) { client in
                try await client.call(#"["join","r"]"#)
                try await client.call(#"["set",{"a":[1,true]}]"#)
                try await client.send(#"["me",0]"#)
                try await client.expect(#"42["me",0]"#)
            }
            servers[0].io.to("r").emit("room", 1)
            servers[1].io.to("r").emit("room", 2)
            servers[1].io.emit("all", 3)
            servers[0].io.to(first.sid).emit("you", RawJSON(binary: ByteBuffer(bytes: [7])))
            let second = try await RecoveryClient.connect(servers[1].port, first) { client in
                #expect(client.memory.sid == first.sid && client.memory.pid == first.pid)
                var missed: [String] = []
                for _ in 0..<4 { missed.append(try await client.event()) }
                // The two nodes' own order is all there is between them.
                #expect(
                    Set(missed) == [
                        #"42["room",1]"#, #"42["room",2]"#, #"42["all",3]"#,
                        #"451-["you",{"_placeholder":true,"num":0}]"#,
                    ]
                )
                servers[0].io.to("r").emit("live", 4)
                try await client.expect(#"42["live",4]"#)
                try await client.expect(#"["whoami"]"#, isAnswered: #"[[true,["r"],{"a":[1,true]}]]"#)
                try await client.send(#"["me",5]"#)
                try await client.expect(#"42["me",5]"#)
            }
            servers[1].io.to("r").emit("room", 6)
            try await RecoveryClient.connect(servers[0].port, second) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["room",6]"#)
            }
        }
    }

    @Test("While the old connection on another node looks open, the session moves, and the old socket is let go of")
    func halfOpen() async throws {
        let (reasons, reason) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(8))
        try await RecoveryServers.with(
            .redis,
            2,
            install: { io in
                RecoveryServers.install(on: io.of("/"))
                io.of("/").onDisconnect(inline: { _, why in reason.yield(why.rawValue) })
            }
        ) { servers in
            try await RecoveryClient.connect(servers[0].port) { old in
                try await old.call(#"["join","r"]"#)
                let seen = old.memory
                servers[0].io.to("r").emit("room", 1)
                // Who has not read it is a peer that is not there any more.
                try await RecoveryClient.connect(servers[1].port, seen) { client in
                    #expect(client.memory.sid == seen.sid)
                    try await client.expect(#"42["room",1]"#)
                    var iterator = reasons.makeAsyncIterator()
                    let why = await iterator.next(isolation: #isolation)
                    #expect(why == "transport close")
                    let rest = try await old.untilClosed()
                    #expect(rest.isEmpty || rest == [#"42["room",1]"#])
                    #expect(servers[0].io.of("/").localMemberCount() == 0)
                    servers[0].io.to("r").emit("room", 2)
                    try await client.expect(#"42["room",2]"#)
                }
            }
        }
    }

    @Test("Who was told to be in a room is in it on any node, however slow Redis was to the node that said so")
    func slowJoin() async throws {
        let hasJoined = Atomic(false)
        try await PrivateRedis.with { redis in
            try await RecoveryServers.with(
                .redis,
                2,
                url: redis.url,
                install: { io in
                    io.of("/").on("enter") { socket, event in
                        await socket.join("r")
                        hasJoined.store(true, ordering: .relaxed)
                        event.ack()
                    }
                }
            ) { servers in
                try await RecoveryClient.connect(servers[0].port) { old in
                    try await RecoveryServers.stalled(servers[0], redis.url) { raw in
                        try await old.send(#"["enter"]"#)
                        let count = RedisCommand("PUBSUB", "SHARDNUMSUB", RedisArgument("\(servers[0].prefix):{/}#r"))
                        while try await raw.send(count).array?.last?.int != 1 {}
                        for _ in 0..<100 { _ = try await raw.send(RedisCommand("PING")) }
                        let early = hasJoined.load(ordering: .relaxed)
                        #expect(!early)
                    }
                    try await old.call(#"["enter"]"#)
                    servers[0].io.to("r").emit("room", 1)
                    try await RecoveryClient.connect(servers[1].port, old.memory) { client in
                        #expect(client.memory.sid == old.memory.sid)
                        try await client.expect(#"42["room",1]"#)
                    }
                }
            }
        }
    }

    @Test(
        "What a node sent to one socket before it heard that the session had moved reaches the client, once",
        arguments: [0, 1, 2]
    )
    func sentTooLate(hasHad: Int) async throws {
        try await PrivateRedis.with { redis in
            try await RecoveryServers.with(.redis, 2, url: redis.url) { servers in
                try await RecoveryClient.connect(servers[0].port) { old in
                    try await old.call(#"["join","r"]"#)
                    var memory = old.memory
                    try await RecoveryServers.stalled(servers[0], redis.url) { _ in
                        try await old.send(#"["me",1]"#)
                        try await old.expect(#"42["me",1]"#)
                        if hasHad > 0 { memory = old.memory }
                        if hasHad > 1 {
                            servers[1].io.to("r").emit("room", 1)
                            try await old.expect(#"42["room",1]"#)
                            memory = old.memory
                        }
                        try await RecoveryClient.connect(servers[1].port, memory) { client in
                            #expect(client.memory.sid == memory.sid)
                        }
                    }
                    // By now the first node has been told, and what it does about it is on its way before this.
                    try await RecoveryClient.connect(servers[0].port) { try await $0.call(#"["set",1]"#) }
                    servers[0].io.to("r").emit("room", 2)
                    try await RecoveryClient.connect(servers[1].port, memory) { client in
                        #expect(client.memory.sid == memory.sid)
                        if hasHad == 0 { try await client.expect(#"42["me",1]"#) }
                        try await client.expect(#"42["room",2]"#)
                    }
                }
            }
        }
    }

    @Test("An event to one socket alone is sent again though its node has heard nothing of the namespace's broadcasts")
    func silentNode() async throws {
        try await RecoveryServers.with(.redis, 2) { servers in
            // These raise the counter, and come to the node that has a member only.
            try await RecoveryClient.connect(servers[1].port) { member in
                try await member.call(#"["join","busy"]"#)
                for number in 0..<10 { servers[1].io.to("busy").emit("busy", number) }
                _ = try await member.events(through: #"42["busy",9]"#)
            }
            let first = try await RecoveryClient.connect(servers[0].port) { client in
                try await client.send(#"["me",1]"#)
                try await client.expect(#"42["me",1]"#)
            }
            var forgetful = first
            forgetful.offset = nil
            let second = try await RecoveryClient.connect(servers[0].port, forgetful) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["me",1]"#)
                try await client.send(#"["me",2]"#)
                try await client.expect(#"42["me",2]"#)
            }
            forgetful = second
            forgetful.offset = first.offset
            try await RecoveryClient.connect(servers[1].port, forgetful) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["me",2]"#)
            }
        }
    }

    /// A node that can be killed: what it was connected to Redis with is cut before it can say a word.
    private static func withMortalNode(
        _ prefix: String,
        _ body: @escaping @Sendable (TestServer) async throws -> Void,
        afterDeath: @escaping @Sendable () async throws -> Void
    ) async throws {
        let (deaths, death) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await TestRedis.withClient { client in
            try await TestRedis.withSubscriber { subscriber in
                let adapter = RedisAdapter(
                    client: client,
                    subscriber: subscriber,
                    prefix: prefix,
                    logger: TestServer.logger
                )
                try await TestServer.with(
                    socketIO: RecoveryServers.configuration(),
                    adapter: adapter,
                    { RecoveryServers.install(on: $0.of("/")) }
                ) { server in
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        tasks.addTask { try await adapter.run() }
                        tasks.addTask {
                            try await body(server)
                            death.yield()
                        }
                        var iterator = deaths.makeAsyncIterator()
                        await iterator.next(isolation: #isolation)
                        tasks.cancelAll()
                        try await tasks.waitForAll()
                    }
                    try await afterDeath()
                }
            }
        }
    }

    @Test("Who was on a node that was killed comes back on another with everything")
    func killedNode() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        let known = Mutex(RecoveryClient.Memory())
        try await Self.withMortalNode(prefix) { server in
            let memory = try await RecoveryClient.connect(server.port) { client in
                try await client.call(#"["join","r"]"#)
                try await client.call(#"["set",[7]]"#)
                try await client.send(#"["me",0]"#)
                try await client.expect(#"42["me",0]"#)
                // Data are written a moment later.
                try await TestRedis.withClient { redis in
                    let key = "\(prefix):recovery:{/}:session:\(client.memory.pid ?? "")"
                    while try await redis.send(RedisCommand("HGET", RedisArgument(key), "data")).string != "[7]" {}
                }
                known.withLock { $0 = client.memory }
            }
            known.withLock { $0 = memory }
        } afterDeath: {
            let first = known.withLock { $0 }
            try await RecoveryServers.with(.redis, 1, prefix: prefix) { servers in
                servers[0].io.to("r").emit("room", 1)
                try await RecoveryClient.connect(servers[0].port, first) { client in
                    #expect(client.memory.sid == first.sid)
                    try await client.expect(#"42["room",1]"#)
                    try await client.expect(#"["whoami"]"#, isAnswered: #"[[true,["r"],[7]]]"#)
                }
            }
        }
    }

    @Test("A Redis that was emptied makes old offsets useless; connected clients can be recovered from then on")
    func emptied() async throws {
        try await PrivateRedis.with { redis in
            try await RecoveryServers.with(
                .redis,
                url: redis.url,
                change: { $0.maxDisconnectionDuration = .seconds(15) }
            ) { servers in
                let (port, io) = (servers[0].port, servers[0].io)
                let first = try await RecoveryClient.connect(port) { client in
                    try await client.send(#"["all",0]"#)
                    try await client.expect(#"42["all",0]"#)
                }
                let kept = try await RecoveryClient.connect(port) { client in
                    try await client.call(#"["join","r"]"#)
                    try await TestRedis.withClient(url: redis.url) { raw in
                        _ = try await raw.send(RedisCommand("FLUSHALL"))
                        // The next refresh writes the record again.
                        let key = "\(servers[0].prefix):recovery:{/}:session:\(client.memory.pid ?? "")"
                        while try await raw.send(RedisCommand("HEXISTS", RedisArgument(key), "r:r")).int != 1 {}
                    }
                    io.to("r").emit("room", 1)
                    try await client.expect(#"42["room",1]"#)
                }
                io.to("r").emit("room", 2)
                try await RecoveryClient.connect(port, first) { client in #expect(client.memory.sid != first.sid) }
                try await RecoveryClient.connect(port, kept) { client in
                    #expect(client.memory.sid == kept.sid)
                    try await client.expect(#"42["room",2]"#)
                }
            }
        }
    }

    @Test("While Redis is away clients of this node go on getting events, without offsets")
    func away() async throws {
        try await PrivateRedis.with { redis in
            try await RecoveryServers.with(.redis, 1, url: redis.url, commandTimeout: .milliseconds(200)) { servers in
                try await RecoveryClient.connect(servers[0].port) { client in
                    await redis.kill()
                    for number in 0..<3 {
                        servers[0].io.emit("all", number)
                        let packet = try await client.packet()
                        #expect(packet == #"42["all",\#(number)]"#)
                    }
                    try await client.send(#"["me",1]"#)
                    let packet = try await client.packet()
                    #expect(packet == #"42["me",1]"#)
                    try await RecoveryClient.connect(servers[0].port) { other in #expect(other.memory.sid.count == 20) }
                }
            }
        }
    }

    @Test("On a Redis that knows no script yet, what a node does is stored in the order in which it happened")
    func firstCalls() async throws {
        for _ in 0..<5 {
            try await PrivateRedis.with { redis in
                try await RecoveryServers.with(.redis, 1, url: redis.url) { servers in
                    let first = try await RecoveryClient.connect(servers[0].port) { client in
                        try await client.send(#"["me",1]"#)
                        try await client.expect(#"42["me",1]"#)
                    }
                    try await RecoveryClient.connect(servers[0].port, first) { client in
                        #expect(client.memory.sid == first.sid)
                    }
                }
            }
        }
    }

    @Test("Data are in Redis when setting them was awaited, and those of the time before a socket joined, too")
    func dataAreStored() async throws {
        try await RecoveryServers.with(
            .redis,
            1,
            install: { io in
                RecoveryServers.install(on: io.of("/"))
                io.of("/").use { socket in socket.data = "early" }
            }
        ) { servers in
            let prefix = servers[0].prefix
            try await TestRedis.withClient { redis in
                _ = try await RecoveryClient.connect(servers[0].port) { client in
                    let record = "\(prefix):recovery:{/}:session:\(client.memory.pid ?? "")"
                    func data() async throws -> String? {
                        try await redis.send(RedisCommand("HGET", RedisArgument(record), "data")).string
                    }
                    var early = try await data()
                    while early == nil {
                        // The answer to CONNECT does not wait for Redis.
                        try await Task.sleep(for: .milliseconds(2))
                        early = try await data()
                    }
                    #expect(early == #""early""#)
                    for number in 0..<20 {
                        try await client.call(#"["set",\#(number)]"#)
                        let now = try await data()
                        #expect(now == "\(number)")
                    }
                }
            }
        }
    }

    @Test("Every key has an expiry")
    func expiry() async throws {
        try await PrivateRedis.with { redis in
            try await RecoveryServers.with(.redis, 1, url: redis.url) { servers in
                let first = try await RecoveryClient.connect(servers[0].port) { client in
                    try await client.call(#"["join","r"]"#)
                    try await client.call(#"["set",1]"#)
                    try await client.send(#"["all",0]"#)
                    _ = try await client.event()
                    servers[0].io.to("r").emit("room", 0)
                    _ = try await client.event()
                    try await client.send(#"["me",0]"#)
                    _ = try await client.event()
                }
                try await RecoveryClient.connect(servers[0].port, first) { _ in }
                try await TestRedis.withClient(url: redis.url) { raw in
                    let keys = try await raw.send(RedisCommand("KEYS", "*")).array ?? []
                    #expect(keys.count >= 5)
                    for key in keys {
                        guard let key = key.string else { continue }
                        let ttl = try await raw.send(RedisCommand("PTTL", RedisArgument(key))).int ?? -1
                        #expect(ttl > 0, "\(key)")
                    }
                }
            }
        }
    }
}
