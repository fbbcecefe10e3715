import Logging
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Redis

struct LeaseTermTests {
    @Test("A lease is ours from before the request until a margin before its end, and is renewed in good time")
    func term() {
        let start = ContinuousClock.now
        var term = LeaseTerm(ttl: .seconds(2), since: start)
        #expect(term.renewal == start + .milliseconds(500))
        #expect(term.end == start + .milliseconds(1750))
        #expect(term.isSurelyOurs(at: start + .milliseconds(1749)))
        #expect(!term.isSurelyOurs(at: start + .milliseconds(1750)))
        term.renewed(since: start + .milliseconds(500))
        #expect(term.end == start + .milliseconds(2250))
    }

    @Test("Whoever waits finds a dead holder's lease within 3 s: its life, and the pause between two looks")
    func takeOver() {
        let ttl = RedisLease.defaultTTL
        #expect(ttl + LeaseTerm.retryDelay(ttl) <= .seconds(3))
    }
}

@Suite(.serialized, .enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20)))
struct RedisLeaseRedisTests {
    /// A body that reports its begin and its end.
    private static func body(_ name: String, _ events: AsyncStream<String>.Continuation) -> RedisLease.Body {
        {
            events.yield("\(name) leads")
            try? await Task.sleep(for: .seconds(60))
            events.yield("\(name) ended")
        }
    }

    @Test("One of two leads; when it shuts down the other takes over at once")
    func handOver() async throws {
        try await TestRedis.withClient { redis in
            let key = TestRedis.uniqueKey("lease")
            let (stream, events) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
            var iterator = stream.makeAsyncIterator()
            // Looked at every 3 s: well before its end only a release explains a take-over.
            let ttl = Duration.seconds(24)
            let first = RedisLease(
                redis: redis,
                key: key,
                ttl: ttl,
                logger: TestRedis.logger,
                body: Self.body("first", events)
            )
            let second = RedisLease(
                redis: redis,
                key: key,
                ttl: ttl,
                logger: TestRedis.logger,
                body: Self.body("second", events)
            )
            let firstRun = Task { try await first.run() }
            let one = await iterator.next()
            #expect(one == "first leads")
            #expect(first.isHeld)
            let secondRun = Task { try await second.run() }
            let start = ContinuousClock.now
            firstRun.cancel()
            try await firstRun.value
            #expect(!first.isHeld)
            let two = await iterator.next()
            let three = await iterator.next()
            #expect([two, three] == ["first ended", "second leads"])
            #expect(start.duration(to: .now) < .seconds(20))
            secondRun.cancel()
            try await secondRun.value
            let left = try await redis.send(RedisCommand("EXISTS", RedisArgument(key))).int
            #expect(left == 0)
        }
    }

    @Test("A dead holder's lease does not live longer because Redis' clock went back")
    func clockBack() async throws {
        try await TestRedis.withClient { redis in
            let key = TestRedis.uniqueKey("lease")
            let (stream, events) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
            var iterator = stream.makeAsyncIterator()
            // Given for two seconds, by a clock that was an hour ahead.
            _ = try await redis.send(RedisCommand("SET", RedisArgument(key), "dead", "PX", "3602000"))
            let lease = RedisLease(
                redis: redis,
                key: key,
                ttl: .seconds(2),
                logger: TestRedis.logger,
                body: Self.body("it", events)
            )
            let run = Task { try await lease.run() }
            let first = await iterator.next()
            #expect(first == "it leads")
            run.cancel()
            try await run.value
        }
    }

    @Test("A lease is renewed beyond its first ttl, and a lost one ends its body")
    func renewedAndLost() async throws {
        try await TestRedis.withClient { redis in
            let key = TestRedis.uniqueKey("lease")
            let (stream, events) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
            var iterator = stream.makeAsyncIterator()
            let ttl = Duration.seconds(2)
            let lease = RedisLease(
                redis: redis,
                key: key,
                ttl: ttl,
                logger: TestRedis.logger,
                body: Self.body("it", events)
            )
            let run = Task { try await lease.run() }
            _ = await iterator.next()
            let token = try await redis.send(RedisCommand("GET", RedisArgument(key))).string
            // Blocks for more than two ttls on a key that never comes: the time passes by Redis' clock.
            _ = try await redis.send(RedisCommand("BLPOP", RedisArgument(key + ":none"), "5"))
            let later = try await redis.send(RedisCommand("GET", RedisArgument(key))).string
            #expect(token != nil && token == later)
            _ = try await redis.send(RedisCommand("SET", RedisArgument(key), "thief"))
            let end = await iterator.next()
            #expect(end == "it ended")
            run.cancel()
            try await run.value
            let holder = try await redis.send(RedisCommand("GET", RedisArgument(key))).string
            #expect(holder == "thief", "another's lease is never given back")
            _ = try await redis.send(RedisCommand("DEL", RedisArgument(key)))
        }
    }

    @Test("A dead holder's lease is taken over when it has expired")
    func takeOver() async throws {
        try await TestRedis.withClient { redis in
            let key = TestRedis.uniqueKey("lease")
            let (stream, events) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
            // What a holder leaves behind when it is killed a moment after a renewal.
            _ = try await redis.send(RedisCommand("SET", RedisArgument(key), "dead", "PX", "2000"))
            let lease = RedisLease(redis: redis, key: key, logger: TestRedis.logger, body: Self.body("heir", events))
            let run = Task { try await lease.run() }
            var iterator = stream.makeAsyncIterator()
            _ = await iterator.next()
            run.cancel()
            try await run.value
        }
    }

    @Test("When Redis falls silent the body ends by our own clock")
    func silent() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url) { redis in
                let (stream, events) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
                var iterator = stream.makeAsyncIterator()
                let ttl = Duration.seconds(1)
                let lease = RedisLease(
                    redis: redis,
                    key: "l",
                    ttl: ttl,
                    logger: TestRedis.logger,
                    body: Self.body("it", events)
                )
                let run = Task { try await lease.run() }
                _ = await iterator.next()
                server.freeze()
                _ = await iterator.next()
                #expect(!lease.isHeld)
                server.resume()
                run.cancel()
                try await run.value
            }
        }
    }
}
