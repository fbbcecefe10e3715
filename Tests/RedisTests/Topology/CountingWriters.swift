import Synchronization
import TestSupport

@testable import Redis

/// Writers that count: each raises a key of its own, one step after the other, and knows what it was told.
///
/// A step that certainly did not happen is taken again. One that may have happened is not: it is counted apart.
final class CountingWriters: Sendable {
    struct Tally {
        var done = 0
        var unknown = 0
        var refusedUnsent = 0
        /// The longest time between two steps that were done.
        var longestPause = Duration.zero
    }

    static let step = RedisScript(
        name: "Step",
        source: Array("redis.call('INCR', KEYS[1]) redis.call('HINCRBY', KEYS[2], 'n', 1) return 1".utf8)
    )

    let keys: [[String]]
    private let redis: RedisClient
    private let tallies: Mutex<[Tally]>
    private let isOver = Mutex(false)

    init(_ redis: RedisClient, count: Int) {
        self.redis = redis
        // Two keys of one slot and a third that never exists, as scripts of the service have.
        keys = (0..<count).map { _ in
            let key = TestRedis.uniqueKey("count")
            return [key, key + ":hash", key + ":none"]
        }
        tallies = Mutex(Array(repeating: Tally(), count: count))
    }

    var tally: [Tally] { tallies.withLock { $0 } }
    var doneInAll: Int { tally.reduce(0) { $0 + $1.done } }

    /// Writes while `body` runs, and at least a step each after it.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in keys.indices { group.addTask { try await self.write(index) } }
            do {
                try await body()
            } catch {
                group.cancelAll()
                throw error
            }
            isOver.withLock { $0 = true }
            try await group.waitForAll()
        }
    }

    private func write(_ index: Int) async throws {
        var last = ContinuousClock.now
        var isLastRound = false
        while true {
            isLastRound = isOver.withLock { $0 }
            do {
                _ = try await redis.eval(Self.step, keys: keys[index])
                let now = ContinuousClock.now
                tallies.withLock { tallies in
                    tallies[index].done += 1
                    tallies[index].longestPause = max(tallies[index].longestPause, last.duration(to: now))
                }
                last = now
                if isLastRound { return }
            } catch {
                guard error.isRetryable else { throw error }
                tallies.withLock { tallies in
                    if error.mayHaveRun { tallies[index].unknown += 1 } else { tallies[index].refusedUnsent += 1 }
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// What Redis has, for each writer.
    func stored() async throws -> [(key: Int, hash: Int)] {
        var stored: [(Int, Int)] = []
        for keys in keys {
            let key = try await redis.send(RedisCommand("GET", RedisArgument(keys[0]))).int ?? 0
            let hash = try await redis.send(RedisCommand("HGET", RedisArgument(keys[1]), "n")).int ?? 0
            stored.append((key, hash))
        }
        return stored
    }
}
