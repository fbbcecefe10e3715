import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Redis

/// A primary, two replicas and three sentinels, broken in turn.
@Suite(.serialized, .enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20)))
struct SentinelRedisTests {
    enum Fault: String, CaseIterable, Sendable { case killed, frozen, ordered }

    @Test("Commands and channels follow the primary within seconds, however it goes", arguments: Fault.allCases)
    func failover(_ fault: Fault) async throws {
        try await PrivateTopology.with(.sentinel) { sentinel in
            try await TestRedis.withClient(url: sentinel.serviceURL) {
                $0.commandTimeout = .seconds(5)
            } _: { redis in
                try await TestRedis.withSubscriber(url: sentinel.serviceURL) { subscriber in
                    let (stream, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
                    let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
                    try await subscriber.subscribe("hf:{a}:channel") { continuation.yield(String(buffer: $0)) }
                    let writers = CountingWriters(redis, count: 8)
                    try await writers.run {
                        while writers.doneInAll < 100 { try await Task.sleep(for: .milliseconds(10)) }
                        let before = try await redis.replications().all
                        redis.onReplicationChange { change.yield() }
                        let port = try await sentinel.primary()
                        switch fault {
                        case .killed: try await sentinel.kill(port)
                        case .frozen: try await sentinel.freeze(port)
                        case .ordered: try await sentinel.failOver()
                        }
                        for await _ in changes { break }
                        let done = writers.doneInAll
                        while writers.doneInAll < done + 100 { try await Task.sleep(for: .milliseconds(10)) }
                        let after = try await redis.replications().all
                        #expect(after != before && after.count == 1)
                        if fault == .frozen { try await sentinel.resume(port) }
                    }
                    for (stored, tally) in zip(try await writers.stored(), writers.tally) {
                        #expect(stored.key <= tally.done + tally.unknown)
                        #expect(stored.key > 0)
                        #expect(tally.longestPause < .seconds(60))
                    }
                    var iterator = stream.makeAsyncIterator()
                    while try await redis.send(.publish("after", to: "hf:{a}:channel")).int != 1 {
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    let message = await iterator.next()
                    #expect(message == "after")
                }
            }
        }
    }

    @Test("Sentinels that are gone or know nothing are passed over; with none left the caller is told")
    func sentinels() async throws {
        try await PrivateTopology.with(.sentinel) { sentinel in
            var configuration = try RedisConfiguration(url: sentinel.serviceURL)
            let gone = RedisEndpoint(host: "127.0.0.1", port: 1)
            let endpoints = configuration.endpoints
            try await TestRedis.withClient(url: sentinel.serviceURL) {
                $0.endpoints = [gone] + endpoints
            } _: { redis in
                let pong = try await redis.send(RedisCommand("PING"))
                #expect(pong.string == "PONG")
            }
            try await TestRedis.withClient(url: sentinel.serviceURL) {
                $0.topology = .sentinel(primary: "nobody")
                $0.commandTimeout = .seconds(1)
            } _: { redis in
                let error = await #expect(throws: RedisError.self) { try await redis.send(RedisCommand("PING")) }
                #expect(error?.code == .unavailable)
                #expect(error?.isRetryable == true)
            }
            configuration.sentinelPassword = "wrong"
            let wrong = configuration
            try await TestRedis.withClient(url: sentinel.serviceURL) {
                $0 = wrong
                $0.commandTimeout = .seconds(1)
            } _: { redis in
                let error = await #expect(throws: RedisError.self) { try await redis.send(RedisCommand("PING")) }
                #expect(error?.code == .unavailable || error?.code == .authentication)
            }
        }
    }

    @Test("Under TLS servers and sentinels show the certificate that is trusted, and the primary is followed")
    func tls() async throws {
        try await PrivateTopology.with(.sentinel, usesTLS: true) { sentinel in
            #expect(sentinel.serviceURL.hasPrefix("rediss+sentinel://"))
            try await TestRedis.withClient(url: sentinel.serviceURL) {
                $0.trustedCertificatesFile = sentinel.certificateFile
                $0.commandTimeout = .seconds(20)
            } _: { redis in
                let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
                _ = try await redis.send(RedisCommand("SET", "hf:a", "1"))
                redis.onReplicationChange { change.yield() }
                try await sentinel.failOver()
                for await _ in changes { break }
                let set = try await redis.send(RedisCommand("SET", "hf:a", "2"))
                #expect(set.string == "OK")
            }
            try await TestRedis.withClient(url: sentinel.serviceURL) {
                $0.commandTimeout = .seconds(1)
            } _: { stranger in
                let error = await #expect(throws: RedisError.self) { try await stranger.send(RedisCommand("PING")) }
                #expect(error?.code == .unavailable)
            }
        }
    }

    @Test("Only a word about our primary moves anybody")
    func words() {
        let moved = SentinelWatch.primary("main 10.0.0.1 6379 10.0.0.2 6380", "main")
        #expect(moved == RedisEndpoint(host: "10.0.0.2", port: 6380))
        #expect(SentinelWatch.primary("other 10.0.0.1 6379 10.0.0.2 6380", "main") == nil)
        #expect(SentinelWatch.primary("main 10.0.0.1 6379 10.0.0.2", "main") == nil)
        #expect(SentinelWatch.primary("main a 1 b port", "main") == nil)
    }
}
