import Events
import HoldfastCore
import Postgres
import Redis
import TestSupport
import Testing

@testable import WaitingRoom

private let bothStores = TestPostgres.isConfigured && TestRedis.isConfigured

@Suite(.enabled(if: bothStores)) struct WaitingRoomPostgresTests {
    /// Ten a second, so that a test's tick lets in as many as slots allow.
    private static let quick = QueueRules(maxActive: 2, ratePerMinute: 600, passSeconds: 10)

    @Test("People stand in the order they came, and asking again costs nothing")
    func order() async throws {
        try await QueueFixture.run { queue in
            for number in 1...3 { _ = try await queue.join(number) }
            _ = try await queue.join(1)
            let positions = [try await queue.position(1), try await queue.position(2), try await queue.position(3)]
            #expect(positions == [1, 2, 3])
            #expect(try await queue.standing(9) == .none)
            #expect(try await queue.room.state(of: try await queue.event).waiting == 3)
        }
    }

    @Test("Joins of one person from many tabs are one place")
    func sameUser() async throws {
        try await QueueFixture.run { queue in
            let user = try queue.user(1)
            let event = try await queue.event
            try await withThrowingTaskGroup(of: QueueStanding.self) { group in
                for _ in 0..<50 { group.addTask { try await queue.room.join(user, event) } }
                for try await standing in group {
                    guard case .waiting(_, position: 1, total: 1, _) = standing else {
                        Issue.record("\(standing)")
                        continue
                    }
                }
            }
        }
    }

    @Test("As many go in as there are slots, the first first, for exactly the pass's time")
    func admission() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            #expect(try await queue.tick()?.admitted == 2)
            let until = ServerTime(millisecondsSinceEpoch: queue.clock.milliseconds + 10_000)
            #expect(try await queue.standing(1) == .admitted(expiresAt: until))
            #expect(try await queue.standing(2) == .admitted(expiresAt: until))
            #expect(try await queue.position(3) == 1)
            queue.clock.advance(9_999)
            #expect(try await queue.isAdmitted(1))
            queue.clock.advance(1)
            #expect(try await queue.standing(1) == .none)
            _ = try await queue.standing(3)
            _ = try await queue.standing(4)
            let next = try await queue.tick()
            #expect(next?.ended == 2)
            #expect(next?.admitted == 2)
            // The old place is over: who comes again stands at the end.
            _ = try await queue.join(1)
            #expect(try await queue.position(1) == 1)
        }
    }

    @Test("The rate holds over many ticks, and the bucket keeps no more than one second's worth")
    func rate() async throws {
        try await QueueFixture.run(QueueRules(maxActive: 100, ratePerMinute: 120), users: 100) { queue in
            for number in 1...40 { _ = try await queue.join(number) }
            #expect(try await queue.tick()?.admitted == 2)
            var admitted = 0
            for _ in 0..<20 {
                queue.clock.advance(250)
                try await queue.room.keepPresent(try (1...40).map { try queue.user($0) }, in: queue.id)
                admitted += try await queue.tick()?.admitted ?? 0
            }
            #expect(admitted == 10)
            queue.clock.advance(60_000)
            try await queue.room.keepPresent(try (1...40).map { try queue.user($0) }, in: queue.id)
            #expect(try await queue.tick()?.admitted == 2)
        }
    }

    @Test("Who is away is passed over, keeps the place, and goes in first on return")
    func away() async throws {
        try await QueueFixture.run(QueueRules(maxActive: 1, ratePerMinute: 6_000, passSeconds: 10)) { queue in
            for number in 1...3 { _ = try await queue.join(number) }
            queue.clock.advance(5_001)
            _ = try await queue.standing(2)
            _ = try await queue.standing(3)
            #expect(try await queue.tick()?.admitted == 1)
            #expect(try await queue.isAdmitted(2))
            #expect(try await queue.position(1) == 1)
            queue.clock.advance(10_000)
            _ = try await queue.standing(3)
            _ = try await queue.standing(1)
            #expect(try await queue.tick()?.admitted == 1)
            #expect(try await queue.isAdmitted(1))
            #expect(try await queue.position(3) == 1)
        }
    }

    @Test("A paused queue lets nobody in, and a closed event is closed")
    func paused() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            _ = try await queue.join(1)
            _ = try await queue.room.update(queue.id, QueueChange(paused: true))
            #expect(try await queue.tick()?.admitted == 0)
            _ = try await queue.room.update(queue.id, QueueChange(paused: false))
            #expect(try await queue.tick()?.admitted == 1)
            _ = try await queue.events.setStatus(queue.id, .closed)
            #expect(try await queue.join(2) == .closed)
        }
    }

    @Test("Leaving frees the slot, or moves those behind forward")
    func leaving() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...5 { _ = try await queue.join(number) }
            _ = try await queue.tick()
            try await queue.room.leave(try queue.user(4), try await queue.event)
            #expect(try await queue.position(5) == 2)
            try await queue.room.leave(try queue.user(1), try await queue.event)
            try await queue.room.leave(try queue.user(1), try await queue.event)
            #expect(try await queue.standing(1) == .none)
            queue.clock.advance(1_000)
            #expect(try await queue.tick()?.admitted == 1)
            #expect(try await queue.isAdmitted(3))
        }
    }

    @Test("After Redis lost the queue the order and the passes are as before")
    func wiped() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...6 { _ = try await queue.join(number) }
            _ = try await queue.tick()
            try await queue.room.leave(try queue.user(4), try await queue.event)
            let pass = try await queue.standing(1)
            try await queue.wipe()
            #expect(try await queue.position(6) == 3)
            #expect(try await queue.position(3) == 1)
            #expect(try await queue.position(5) == 2)
            #expect(try await queue.standing(1) == pass)
            #expect(try await queue.room.state(of: try await queue.event).active == 2)
            guard case .waiting(_, position: 4, total: 4, _) = try await queue.join(7) else {
                Issue.record("the one who came last is not the fourth")
                return
            }
        }
    }

    @Test("Many who find the queue lost at once restore it once and lose nobody")
    func wipedAtOnce() async throws {
        try await QueueFixture.run(users: 60) { queue in
            for number in 1...30 { _ = try await queue.join(number) }
            try await queue.wipe()
            let event = try await queue.event
            let users = try (1...60).map { try queue.user($0) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for user in users {
                    group.addTask {
                        // Who waits for another's rebuild for more than two seconds is told to come back, and does.
                        while true {
                            do {
                                _ = try await queue.room.join(user, event)
                                return
                            } catch let problem as Problem where problem.code == .rebuilding {
                                continue
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            for number in 1...30 { #expect(try await queue.position(number) == number) }
            #expect(try await queue.room.state(of: event).waiting == 60)
        }
    }

    @Test("Clearing empties the line and leaves passes alone")
    func clearing() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...5 { _ = try await queue.join(number) }
            _ = try await queue.tick()
            #expect(try await queue.room.clear(queue.id) == 3)
            #expect(try await queue.isAdmitted(1))
            #expect(try await queue.standing(3) == .none)
            _ = try await queue.join(5)
            #expect(try await queue.position(5) == 1)
        }
    }

    @Test("Who comes before the opening is drawn; who comes later queues behind")
    func lobby() async throws {
        try await QueueFixture.run(QueueRules(mode: .lobby), opens: false) { queue in
            for number in 1...8 { _ = try await queue.join(number) }
            #expect(try await queue.join(3) == .lobby(total: 8))
            _ = try await queue.events.setStatus(queue.id, .open)
            _ = try await queue.join(9)
            var positions: [Int] = []
            for number in 1...8 { positions.append(try await queue.position(number) ?? 0) }
            #expect(positions.sorted() == Array(1...8))
            #expect(try await queue.position(9) == 9)
        }
    }

    @Test("Two leaders at once never exceed slots or rate")
    func twoLeaders() async throws {
        try await QueueFixture.run(QueueRules(maxActive: 5, ratePerMinute: 60_000), users: 50) { queue in
            for number in 1...50 { _ = try await queue.join(number) }
            let most = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        _ = try await queue.tick()
                        return try await queue.room.state(of: try await queue.event).active
                    }
                }
                return try await group.reduce(0) { max($0, $1) }
            }
            #expect(most == 5)
        }
    }

    @Test("A load of 10,000 joins keeps one place each")
    func load() async throws {
        try await QueueFixture.run(users: 10_000) { queue in
            let event = try await queue.event
            let users = try (1...10_000).map { try queue.user($0) }
            let start = ContinuousClock.now
            try await withThrowingDiscardingTaskGroup { group in
                for user in users { group.addTask { _ = try await queue.room.join(user, event) } }
            }
            let seconds = Double((ContinuousClock.now - start).milliseconds) / 1_000
            print("10,000 joins: \(Int(10_000 / seconds)) a second")
            #expect(try await queue.room.state(of: event).waiting == 10_000)
            let rows = try await queue.postgres.query(
                "SELECT count(DISTINCT qseq), max(qseq) FROM queue_entries"
            )
            let (places, last) = try #require(try rows.first?.decode((Int, Int).self))
            #expect((places, last) == (10_000, 10_000))
        }
    }
}
