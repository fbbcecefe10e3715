import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Redis

/// Faults on servers of their own, which need no configured service.
@Suite(.serialized, .enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20)))
struct RedisFaultRedisTests {
    /// Deadlines are for what must fail; what must succeed gets the patience of ``TestRedis``.
    private let soon = Duration.seconds(2)

    private func quick(_ configuration: inout RedisConfiguration) {
        configuration.connectionCount = 2
        configuration.reconnectDelay = .milliseconds(5) ... .milliseconds(20)
    }

    @Test("With nobody listening a command waits until its deadline, then fails unsent and retryable")
    func nobody() async throws {
        try await PrivateRedis.with { server in
            await server.kill()
            try await TestRedis.withClient(url: server.url, configure: quick) { redis in
                let error = await #expect(throws: RedisError.self) {
                    try await redis.send(RedisCommand("PING"), timeout: soon)
                }
                #expect(error?.code == .unavailable)
                #expect(error?.mayHaveRun == false)
                #expect(error?.isRetryable == true)
            }
        }
    }

    @Test("A server that stops answering is noticed; commands may have run; it serves again when it is back")
    func frozen() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url, configure: quick) { redis in
                let before = try await redis.send(RedisCommand("CLIENT", "ID")).int
                server.freeze()
                let error = await #expect(throws: RedisError.self) {
                    try await redis.send(RedisCommand("INCR", "n"), timeout: soon)
                }
                #expect(error?.code == .timeout)
                #expect(error?.mayHaveRun == true)
                #expect(error?.isRetryable == true)
                server.resume()
                let after = try await redis.send(RedisCommand("CLIENT", "ID")).int
                #expect(before != nil && after != nil)
            }
        }
    }

    @Test("A short deadline of one command does not cost the connection, and its late reply is dropped")
    func lateReply() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url) {
                $0.connectionCount = 1
            } _: { redis in
                let before = try await redis.send(RedisCommand("CLIENT", "ID")).int
                let error = await #expect(throws: RedisError.self) {
                    try await redis.send(RedisCommand("BLPOP", "none", "0.3"), timeout: .milliseconds(50))
                }
                #expect(error?.code == .timeout)
                do {
                    let reply = try await redis.send(RedisCommand("ECHO", "mine"))
                    #expect(reply.string == "mine")
                }
                do {
                    let reply = try await redis.send(RedisCommand("CLIENT", "ID"))
                    #expect(reply.int == before)
                }
            }
        }
    }

    @Test("After a crash and a restart commands flow again without anybody's help")
    func restart() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url, configure: quick) { redis in
                _ = try await redis.send(RedisCommand("PING"))
                await server.kill()
                await #expect(throws: RedisError.self) {
                    try await redis.send(RedisCommand("PING"), timeout: soon)
                }
                try await server.start()
                do {
                    let reply = try await redis.send(RedisCommand("ECHO", "back"))
                    #expect(reply.string == "back")
                }
            }
        }
    }

    @Test("A wrong password is reported at once and clearly, without waiting for the deadline")
    func wrongPassword() async throws {
        try await PrivateRedis.with(password: "right") { server in
            let url = "redis://:wrong@127.0.0.1:\(server.port)/0"
            try await TestRedis.withClient(url: url) {
                $0.commandTimeout = .seconds(30)
            } _: { redis in
                let error = await #expect(throws: RedisError.self) { try await redis.send(RedisCommand("PING")) }
                #expect(error?.code == .authentication)
                #expect(error?.mayHaveRun == false)
                #expect(error?.serverError?.kind == .wrongPassword)
            }
            try await TestRedis.withClient(url: "redis://127.0.0.1:\(server.port)/0") { redis in
                let error = await #expect(throws: RedisError.self) { try await redis.send(RedisCommand("PING")) }
                #expect(error?.code == .authentication)
            }
        }
    }

    @Test("An ACL user signs in with a percent-encoded password and selects a database")
    func aclUser() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url) { redis in
                _ = try await redis.send(RedisCommand("ACL", "SETUSER", "box@office", "on", ">p@ss:/%", "~*", "+@all"))
            }
            let url = "redis://box%40office:p%40ss%3A%2F%25@127.0.0.1:\(server.port)/5"
            try await TestRedis.withClient(url: url) { redis in
                do {
                    let reply = try await redis.send(RedisCommand("ACL", "WHOAMI"))
                    #expect(reply.string == "box@office")
                }
                let info = try await redis.send(RedisCommand("CLIENT", "INFO")).string ?? ""
                #expect(info.contains("db=5"))
                #expect(info.contains("name=holdfast"))
            }
        }
    }

    @Test("TLS works with a trusted certificate and refuses one that nobody trusts")
    func tls() async throws {
        try await PrivateRedis.with(password: "pw", usesTLS: true) { server in
            let file = server.certificateFile
            try await TestRedis.withClient(url: server.url) {
                $0.trustedCertificatesFile = file
            } _: { redis in
                do {
                    let reply = try await redis.send(RedisCommand("ECHO", "sealed"))
                    #expect(reply.string == "sealed")
                }
            }
            try await TestRedis.withClient(url: server.url, configure: quick) { redis in
                let error = await #expect(throws: RedisError.self) {
                    try await redis.send(RedisCommand("PING"), timeout: soon)
                }
                #expect(error?.code == .unavailable)
            }
        }
    }
}
