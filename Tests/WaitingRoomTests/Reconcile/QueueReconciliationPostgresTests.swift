import Events
import HoldfastCore
import Postgres
import Redis
import TestSupport
import Testing

@testable import WaitingRoom

@Suite(.enabled(if: TestPostgres.isConfigured && TestRedis.isConfigured))
struct QueueReconciliationPostgresTests {
    private static let quick = QueueRules(maxActive: 2, ratePerMinute: 600, passSeconds: 60)

    /// Two are in, four wait.
    private func withLine(_ body: (QueueFixture) async throws -> Void) async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...6 { _ = try await queue.join(number) }
            let ticked = try await queue.tick()
            #expect(ticked?.admitted == 2)
            try await body(queue)
        }
    }

    private func reconcile(_ queue: QueueFixture) async throws -> Int {
        try await queue.room.reconcile(queue.id, breath: .zero, patience: .zero)
    }

    private func key(_ name: String, of queue: QueueFixture) -> RedisArgument {
        RedisArgument("hf:{event:\(queue.id.rawValue)}:queue:\(name)")
    }

    @Test("A queue on which both stores agree is left alone, also with people away, leaving and let in")
    func agree() async throws {
        try await withLine { queue in
            try await queue.room.leave(try queue.user(4), try await queue.event)
            queue.clock.advance(6_000)
            _ = try await queue.standing(6)
            _ = try await queue.tick()
            let epoch = try await queue.room.store.epoch(of: queue.id)
            let differing = try await reconcile(queue)
            #expect(differing == 0)
            let same = try await queue.room.store.epoch(of: queue.id)
            #expect(same == epoch)
        }
    }

    @Test("Somebody whom Redis lost from the line stands there again, at the same place")
    func lostPlace() async throws {
        try await withLine { queue in
            let before = try await queue.position(5)
            _ = try await queue.redis.send(RedisCommand("ZREM", key("waiting", of: queue), "u5"))
            let standing = try await queue.standing(5)
            #expect(standing == .none)
            let differing = try await reconcile(queue)
            #expect(differing == 1)
            let after = try await queue.position(5)
            #expect(after == before)
            let again = try await reconcile(queue)
            #expect(again == 0)
        }
    }

    @Test("A pass that nobody gave is taken away, and one that was lost comes back")
    func passes() async throws {
        try await withLine { queue in
            let until = RedisArgument(queue.clock.milliseconds + 60_000)
            _ = try await queue.redis.send(RedisCommand("ZADD", key("passes", of: queue), until, "u9"))
            _ = try await queue.redis.send(RedisCommand("HSET", key("pass-places", of: queue), "u9", "99"))
            _ = try await queue.redis.send(RedisCommand("ZREM", key("passes", of: queue), "u1"))
            _ = try await queue.redis.send(RedisCommand("HDEL", key("pass-places", of: queue), "u1"))
            let thief = try await queue.isAdmitted(9)
            #expect(thief)
            let differing = try await reconcile(queue)
            #expect(differing == 2)
            let isStillIn = try await queue.isAdmitted(9)
            #expect(!isStillIn)
            for number in 1...2 {
                let isIn = try await queue.isAdmitted(number)
                #expect(isIn)
            }
        }
    }
}
