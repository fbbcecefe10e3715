import Events
import HoldfastCore
import Redis
import Synchronization
import TestSupport
import Testing

@testable import WaitingRoom

@Suite(.enabled(if: TestPostgres.isConfigured && TestRedis.isConfigured)) struct QueueLeaderPostgresTests {
    @Test(
        "A leader lets people in, another takes over when it dies, and the feed tells each person",
        .timeLimit(.minutes(20))
    )
    func takeOver() async throws {
        try await QueueFixture.run(QueueRules(maxActive: 10, ratePerMinute: 600)) { queue in
            try await TestRedis.withSubscriber { subscriber in
                let (admissions, told) = AsyncStream.makeStream(of: UserID.self, bufferingPolicy: .bufferingNewest(100))
                let feed = QueueFeed(waitingRoom: queue.room, subscriber: subscriber) { _, _, notices in
                    for case .admitted(let user, _) in notices { told.yield(user) }
                    return []
                }
                let key = TestRedis.uniqueKey("leader")
                var heard = admissions.makeAsyncIterator()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await feed.run() }
                    let first = try queue.user(1)
                    _ = try await queue.join(1)
                    feed.watch(first, in: queue.id)
                    await withThrowingTaskGroup(of: Void.self) { term in
                        term.addTask { try await QueueLeader(waitingRoom: queue.room, leaseKey: key).run() }
                        #expect(await heard.next() == first)
                        term.cancelAll()
                    }
                    // The test's clock stands still; the bucket of ten has nine left.
                    let second = try queue.user(2)
                    _ = try await queue.join(2)
                    feed.watch(second, in: queue.id)
                    group.addTask { try await QueueLeader(waitingRoom: queue.room, leaseKey: key).run() }
                    #expect(await heard.next() == second)
                    group.cancelAll()
                }
            }
        }
    }
}
