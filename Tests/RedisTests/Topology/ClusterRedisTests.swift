import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Redis

/// A cluster of three primaries and three replicas, moved about and broken.
@Suite(.serialized, .enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20)))
struct ClusterRedisTests {
    private func patient(_ configuration: inout RedisConfiguration) {
        configuration.connectionCount = 2
        configuration.commandTimeout = .seconds(20)
    }

    @Test("A pipeline over all servers has its replies in the order of the commands, scripts included")
    func pipeline() async throws {
        try await PrivateTopology.with(.cluster) { cluster in
            try await TestRedis.withClient(url: cluster.serviceURL, configure: patient) { redis in
                let keys = (0..<200).map { "hf:k\($0)" }
                let set = try await redis.send(keys.map { RedisCommand("SET", RedisArgument($0), RedisArgument($0)) })
                #expect(set.allSatisfy { $0.string == "OK" })
                let read = try await redis.send(keys.map { RedisCommand("GET", RedisArgument($0)) })
                #expect(read.map(\.string) == keys)
                let script = RedisScript(name: "Get", source: Array("return redis.call('GET', KEYS[1])".utf8))
                for _ in 0..<2 {
                    let replies = try await redis.eval(keys.map { RedisScriptCall(script, keys: [$0]) })
                    #expect(replies.map(\.string) == keys)
                }
                let pong = try await redis.send(RedisCommand("PING"))
                #expect(pong.string == "PONG")
                let error = await #expect(throws: RedisError.self) {
                    try await redis.send(RedisCommand("DEL", "hf:a", "hf:b"))
                }
                #expect(error?.code == .invalidRequest)
            }
        }
    }

    @Test("Under TLS every server of the cluster is reached, also by channels and after its slot has moved")
    func tls() async throws {
        try await PrivateTopology.with(.cluster, usesTLS: true) { cluster in
            #expect(cluster.serviceURL.hasPrefix("rediss+cluster://"))
            let trusting = { (configuration: inout RedisConfiguration) in
                patient(&configuration)
                configuration.trustedCertificatesFile = cluster.certificateFile
            }
            try await TestRedis.withClient(url: cluster.serviceURL, configure: trusting) { redis in
                let keys = (0..<50).map { "hf:k\($0)" }
                let set = try await redis.send(keys.map { RedisCommand("SET", RedisArgument($0), RedisArgument($0)) })
                #expect(set.allSatisfy { $0.string == "OK" })
                try await cluster.move(keys[0])
                let read = try await redis.send(keys.map { RedisCommand("GET", RedisArgument($0)) })
                #expect(read.map(\.string) == keys)
                try await TestRedis.withSubscriber(url: cluster.serviceURL, configure: trusting) { subscriber in
                    let messages = Mutex<[String]>([])
                    try await subscriber.subscribe("hf:{c}:channel") { message in
                        messages.withLock { $0.append(String(buffer: message)) }
                    }
                    try await heard(redis, "hf:{c}:channel", messages)
                }
            }
        }
    }

    @Test("Slots that move while writers count lose no step and double none")
    func reshard() async throws {
        try await PrivateTopology.with(.cluster) { cluster in
            try await TestRedis.withClient(url: cluster.serviceURL, configure: patient) { redis in
                let writers = CountingWriters(redis, count: 32)
                try await writers.run {
                    try await cluster.reshard(1_500)
                    for keys in writers.keys.prefix(6) { try await cluster.move(keys[0]) }
                }
                let stored = try await writers.stored()
                let tally = writers.tally
                #expect(stored.map(\.key) == tally.map(\.done))
                #expect(stored.map(\.hash) == tally.map(\.done))
                #expect(tally.reduce(0) { $0 + $1.unknown } == 0)
                #expect(tally.reduce(0) { $0 + $1.refusedUnsent } == 0, "all waited out within their deadlines")
            }
        }
    }

    @Test("After a primary was killed its replica's slots are written again, and no acknowledged step is doubled")
    func failover() async throws {
        try await PrivateTopology.with(.cluster) { cluster in
            try await TestRedis.withClient(url: cluster.serviceURL, configure: patient) { redis in
                let writers = CountingWriters(redis, count: 12)
                let changes = Mutex(0)
                redis.onReplicationChange { changes.withLock { $0 += 1 } }
                try await writers.run {
                    try await reached(writers, 200)
                    let first = try await redis.replications()
                    let before = changes.withLock { $0 }
                    try await cluster.kill(try await cluster.primary(of: writers.keys[0][0]))
                    let done = writers.tally[0].done
                    while writers.tally[0].done < done + 5 { try await Task.sleep(for: .milliseconds(10)) }
                    #expect(changes.withLock { $0 } > before)
                    let second = try await redis.replications()
                    let owner = try #require(second.id(of: writers.keys[0][0]))
                    #expect(!first.all.contains(owner), "the promoted replica has another history")
                    #expect(try !second.all.contains(#require(first.id(of: writers.keys[0][0]))))
                }
                for (stored, tally) in zip(try await writers.stored(), writers.tally) {
                    // Replication is asynchronous: the last moment's steps may be lost with the primary, never doubled.
                    #expect(stored.key <= tally.done + tally.unknown)
                    #expect(stored.key > 0)
                    #expect(tally.longestPause < .seconds(60))
                }
            }
        }
    }

    @Test("A frozen primary is left for its promoted replica, and what it answers later disturbs nobody")
    func frozen() async throws {
        try await PrivateTopology.with(.cluster) { cluster in
            try await TestRedis.withClient(url: cluster.serviceURL) {
                $0.connectionCount = 2
                $0.commandTimeout = .seconds(1)
            } _: { redis in
                let writers = CountingWriters(redis, count: 6)
                try await writers.run {
                    try await reached(writers, 100)
                    let port = try await cluster.primary(of: writers.keys[0][0])
                    try await cluster.freeze(port)
                    let done = writers.tally[0].done
                    while writers.tally[0].done < done + 5 { try await Task.sleep(for: .milliseconds(10)) }
                    try await cluster.resume(port)
                    try await reached(writers, writers.doneInAll + 200)
                }
                for (stored, tally) in zip(try await writers.stored(), writers.tally) {
                    #expect(stored.key <= tally.done + tally.unknown)
                }
            }
        }
    }

    @Test("Sharded channels follow their slot when it moves and when its server dies; others are heard all the time")
    func channels() async throws {
        try await PrivateTopology.with(.cluster) { cluster in
            try await TestRedis.withClient(url: cluster.serviceURL, configure: patient) { redis in
                try await TestRedis.withSubscriber(url: cluster.serviceURL, configure: patient) { subscriber in
                    let messages = Mutex<[String]>([])
                    let reconnects = Mutex(0)
                    subscriber.onReconnect { reconnects.withLock { $0 += 1 } }
                    let channels = (0..<20).map { "hf:{c\($0)}:channel" } + ["hf:everybody"]
                    for channel in channels {
                        try await subscriber.subscribe(channel) { message in
                            messages.withLock { $0.append(String(buffer: message)) }
                        }
                    }
                    for channel in channels {
                        let count = try await redis.send(.publish(RedisArgument("1 \(channel)"), to: channel)).int
                        // Only a sharded channel's count is of all who listen.
                        if channel.contains("{") { #expect(count == 1) }
                        while !messages.withLock({ $0.contains("1 \(channel)") }) {
                            try await Task.sleep(for: .milliseconds(5))
                        }
                    }
                    for channel in channels.prefix(3) {
                        try await cluster.move(channel)
                        try await heard(redis, channel, messages)
                    }
                    #expect(reconnects.withLock { $0 } > 0)
                    try await cluster.kill(try await cluster.primary(of: channels[0]))
                    for channel in channels { try await heard(redis, channel, messages) }
                    await subscriber.unsubscribe(channels[0])
                    try await subscriber.subscribe(channels[0] + "2") { _ in }
                    let nobody = try await redis.send(.publish("nobody", to: channels[0])).int
                    #expect(nobody == 0)
                }
            }
        }
    }

    /// Publishes until a message comes through: Pub/Sub loses what is said while a channel is on its way.
    private func heard(_ redis: RedisClient, _ channel: String, _ messages: borrowing Mutex<[String]>) async throws {
        let text = "again \(channel) \(UInt64.random(in: 0 ... .max))"
        while true {
            _ = try? await redis.send(.publish(RedisArgument(text), to: channel))
            for _ in 0..<10 {
                if messages.withLock({ $0.contains(text) }) { return }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    private func reached(_ writers: CountingWriters, _ count: Int) async throws {
        while writers.doneInAll < count { try await Task.sleep(for: .milliseconds(10)) }
    }
}
