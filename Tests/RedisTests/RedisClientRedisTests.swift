import NIOCore
import TestSupport
import Testing

@testable import Redis

@Suite(.enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20)))
struct RedisClientRedisTests {
    @Test("What is set can be read again, bytes and all")
    func setAndGet() async throws {
        try await TestRedis.withClient { redis in
            let key = TestRedis.uniqueKey()
            let bytes = [UInt8](0...255)
            _ = try await redis.send(RedisCommand("SET", RedisArgument(key), RedisArgument(bytes: bytes), "EX", "60"))
            do {
                let reply = try await redis.send(RedisCommand("GET", RedisArgument(key)))
                #expect(reply == .bulk(ByteBuffer(bytes: bytes)))
            }
            do {
                let reply = try await redis.send(RedisCommand("DEL", RedisArgument(key)))
                #expect(reply.int == 1)
            }
            do {
                let reply = try await redis.send(RedisCommand("GET", RedisArgument(key)))
                #expect(reply.isNull)
            }
        }
    }

    @Test("Among hundreds of concurrent callers each gets its own answer")
    func manyCallers() async throws {
        try await TestRedis.withClient { redis in
            try await withThrowingTaskGroup { group in
                for caller in 0..<500 {
                    group.addTask {
                        for round in 0..<20 {
                            let text = "\(caller)/\(round)"
                            let reply = try await redis.send(RedisCommand("ECHO", RedisArgument(text)))
                            #expect(reply.string == text)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("A pipeline runs in order on one connection, with error replies as values")
    func pipeline() async throws {
        try await TestRedis.withClient { redis in
            let key = RedisArgument(TestRedis.uniqueKey())
            let replies = try await redis.send([
                RedisCommand("SET", key, "0", "EX", "60"), RedisCommand("INCR", key), RedisCommand("LPUSH", key, "x"),
                RedisCommand("INCR", key), RedisCommand("CLIENT", "ID"), RedisCommand("CLIENT", "ID"),
            ])
            #expect(replies[1].int == 1)
            #expect(replies[2].failure?.serverError?.kind == .wrongType)
            #expect(replies[3].int == 2)
            #expect(replies[4] == replies[5])
            do {
                let reply = try await redis.send([RedisCommand]())
                #expect(reply.isEmpty)
            }
        }
    }

    @Test("A pipeline longer than the bound is refused; one at the bound runs")
    func longPipeline() async throws {
        try await TestRedis.withClient { redis in
            let pings = [RedisCommand](repeating: RedisCommand("PING"), count: 1024)
            do {
                let reply = try await redis.send(pings)
                #expect(reply.count == 1024)
            }
            let error = await #expect(throws: RedisError.self) { try await redis.send(pings + [RedisCommand("PING")]) }
            #expect(error?.code == .invalidRequest)
        }
    }

    @Test("An error reply is thrown with its kind")
    func serverError() async throws {
        try await TestRedis.withClient { redis in
            let error = await #expect(throws: RedisError.self) { try await redis.send(RedisCommand("NOSUCHCOMMAND")) }
            #expect(error?.code == .server)
            #expect(error?.isRetryable == false)
        }
    }

    @Test("A large value crosses whole")
    func large() async throws {
        try await TestRedis.withClient { redis in
            let text = String(repeating: "0123456789abcdef", count: 256 * 1024)
            do {
                let reply = try await redis.send(RedisCommand("ECHO", RedisArgument(text)), timeout: .seconds(20))
                #expect(reply.string == text)
            }
        }
    }

    @Test("The calling task's cancellation ends a command, and its late reply disturbs nobody")
    func cancellation() async throws {
        try await TestRedis.withClient {
            $0.connectionCount = 1
        } _: { redis in
            let key = RedisArgument(TestRedis.uniqueKey())
            let task = Task { try await redis.send(RedisCommand("BLPOP", key, "1"), timeout: .seconds(30)) }
            // A command of the same connection, sent first, is answered once the connection is there.
            task.cancel()
            let error = await #expect(throws: RedisError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            do {
                let reply = try await redis.send(RedisCommand("ECHO", "mine"))
                #expect(reply.string == "mine")
            }
        }
    }

    @Test("A closed client refuses commands")
    func closed() async throws {
        let client = try await TestRedis.withClient { redis in
            _ = try await redis.send(RedisCommand("PING"))
            return redis
        }
        let error = await #expect(throws: RedisError.self) { try await client.send(RedisCommand("PING")) }
        #expect(error?.code == .shutDown)
        #expect(error?.mayHaveRun == false)
    }

    // MARK: Scripts

    @Test("A script that Redis does not know is sent with its source, alone and within a pipeline")
    func noScript() async throws {
        try await TestRedis.withClient { redis in
            let unique = TestRedis.uniqueKey()
            let first = RedisScript(name: "First", source: Array("return {KEYS[1], ARGV[1]} -- \(unique)".utf8))
            let second = RedisScript(name: "Second", source: Array("return 2 -- \(unique)".utf8))
            do {
                let reply = try await redis.eval(first, keys: ["k"], arguments: ["a"])
                #expect(reply.array?.map(\.string) == ["k", "a"])
            }
            let replies = try await redis.eval([
                RedisScriptCall(first, keys: ["k"], arguments: ["b"]), RedisScriptCall(second, keys: []),
                RedisScriptCall(second, keys: []), RedisScriptCall(first, keys: ["k"], arguments: ["c"]),
            ])
            #expect(replies.map { $0.array?.last?.string ?? "\($0.int ?? 0)" } == ["b", "2", "2", "c"])
        }
    }

    @Test("Scripts work again after SCRIPT FLUSH")
    func scriptFlush() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url) { redis in
                let script = RedisScript(name: "One", source: Array("return redis.call('INCR', KEYS[1])".utf8))
                do {
                    let reply = try await redis.eval(script, keys: ["k"])
                    #expect(reply.int == 1)
                }
                _ = try await redis.send(RedisCommand("SCRIPT", "FLUSH"))
                do {
                    let reply = try await redis.eval(script, keys: ["k"])
                    #expect(reply.int == 2)
                }
            }
        }
    }

    @Test("A script's own error is thrown and its text stays out of the description")
    func scriptError() async throws {
        try await TestRedis.withClient { redis in
            let script = RedisScript(name: "Bad", source: Array("return redis.error_reply(ARGV[1])".utf8))
            let error = await #expect(throws: RedisError.self) {
                try await redis.eval(script, keys: [], arguments: ["hunter2 failed"])
            }
            #expect(error?.mayHaveRun == true)
            #expect(error?.description.contains("hunter2") == false)
        }
    }
}
