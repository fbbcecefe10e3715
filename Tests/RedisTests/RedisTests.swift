import NIOCore
import Redis
import TestSupport
import Testing

@Suite(.enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(1)))
struct RedisClientRedisTests {
    @Test("What is set can be read again")
    func setAndGet() async throws {
        try await TestRedis.withClient { redis in
            let key = TestRedis.uniqueKey()
            _ = try await redis.send(RedisCommand("SET", RedisArgument(key), "value", "EX", "60"))
            #expect(try await redis.send(RedisCommand("GET", RedisArgument(key))).string == "value")
        }
    }
}
