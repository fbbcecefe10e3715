import NIOCore
import TestSupport
import Testing

@testable import Redis

@Suite(.serialized, .enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20)))
struct RedisSubscriberRedisTests {
    private func publish(_ redis: RedisClient, _ channel: String, _ text: String) async throws -> Int? {
        try await redis.send(.publish(RedisArgument(text), to: channel)).int
    }

    @Test("Messages arrive in order after subscribe returned, and end with unsubscribe")
    func ordered() async throws {
        try await TestRedis.withClient { redis in
            try await TestRedis.withSubscriber { subscriber in
                let channel = TestRedis.uniqueKey("channel")
                let (stream, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
                try await subscriber.subscribe(channel) { continuation.yield(String(buffer: $0)) }
                for number in 0..<100 {
                    let count = try await publish(redis, channel, "\(number)")
                    #expect(count == 1)
                }
                var received: [String] = []
                for await text in stream {
                    received.append(text)
                    if received.count == 100 { break }
                }
                #expect(received == (0..<100).map { "\($0)" })
                await subscriber.unsubscribe(channel)
                // A subscription that Redis confirms on the same connection proves that it took the UNSUBSCRIBE before.
                try await subscriber.subscribe(channel + "2") { _ in }
                let count = try await publish(redis, channel, "nobody")
                #expect(count == 0)
            }
        }
    }

    /// Every second one has a hash tag, and so is a sharded one.
    private func name(_ channel: Int) -> String { channel.isMultiple(of: 2) ? "{c\(channel)}" : "c\(channel)" }

    @Test("After its connection is killed a subscriber listens again to all channels, and says so")
    func resubscribes() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withSubscriber(url: server.url) {
                $0.reconnectDelay = .milliseconds(5) ... .milliseconds(20)
            } _: { subscriber in
                let (stream, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
                subscriber.onReconnect { continuation.yield("reconnected") }
                for channel in 0..<1200 {
                    try await subscriber.subscribe(name(channel)) { continuation.yield(String(buffer: $0)) }
                }
                var iterator = stream.makeAsyncIterator()
                for _ in 0..<2 {
                    try await TestRedis.withClient(url: server.url) { redis in
                        _ = try await redis.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub"))
                    }
                    let first = await iterator.next()
                    #expect(first == "reconnected")
                    try await TestRedis.withClient(url: server.url) { redis in
                        for channel in ["{c0}", "c1199"] {
                            let count = try await publish(redis, channel, channel)
                            #expect(count == 1)
                        }
                    }
                    let second = await iterator.next()
                    let third = await iterator.next()
                    #expect([second, third] == ["{c0}", "c1199"])
                }
            }
        }
    }

    @Test("A frozen server is noticed by the missing answer to PING, and the subscriber returns with it")
    func frozen() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withSubscriber(url: server.url) {
                $0.reconnectDelay = .milliseconds(5) ... .milliseconds(20)
                $0.connectTimeout = .seconds(2)
                $0.subscriberPingInterval = .milliseconds(50)
                $0.subscriberPingTimeout = .milliseconds(500)
                $0.commandTimeout = .seconds(3)
            } _: { subscriber in
                let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
                subscriber.onReconnect { continuation.yield() }
                try await subscriber.subscribe("c") { _ in }
                server.freeze()
                let error = await #expect(throws: RedisError.self) { try await subscriber.subscribe("d") { _ in } }
                #expect(error?.code == .timeout)
                server.resume()
                var iterator = stream.makeAsyncIterator()
                await iterator.next()
                try await subscriber.subscribe("d") { _ in }
            }
        }
    }

    @Test("A message beyond the bound costs the connection, not the process, and is told as a reconnect")
    func tooLong() async throws {
        try await TestRedis.withClient { redis in
            try await TestRedis.withSubscriber {
                $0.maxMessageBytes = 1024
            } _: { subscriber in
                let channel = TestRedis.uniqueKey("channel")
                let (stream, continuation) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .unbounded)
                subscriber.onReconnect { continuation.yield(-1) }
                try await subscriber.subscribe(channel) { continuation.yield($0.readableBytes) }
                _ = try await publish(redis, channel, String(repeating: "x", count: 4_000_000))
                var iterator = stream.makeAsyncIterator()
                let first = await iterator.next()
                #expect(first == -1)
                _ = try await publish(redis, channel, "short")
                let second = await iterator.next()
                #expect(second == 5)
            }
        }
    }

    @Test("A channel that the ACL forbids is refused to the caller")
    func forbidden() async throws {
        try await PrivateRedis.with { server in
            try await TestRedis.withClient(url: server.url) { redis in
                _ = try await redis.send(
                    RedisCommand("ACL", "SETUSER", "listener", "on", ">pw", "+@all", "resetchannels", "&open")
                )
            }
            let url = "redis://listener:pw@127.0.0.1:\(server.port)/0"
            try await TestRedis.withSubscriber(url: url) { subscriber in
                try await subscriber.subscribe("open") { _ in }
                let error = await #expect(throws: RedisError.self) { try await subscriber.subscribe("shut") { _ in } }
                #expect(error?.serverError?.kind == .noPermission)
            }
        }
    }
}
