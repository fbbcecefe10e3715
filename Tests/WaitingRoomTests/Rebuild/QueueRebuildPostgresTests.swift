import Events
import HoldfastCore
import Postgres
import Redis
import TestSupport
import Testing

@testable import WaitingRoom

@Suite(.enabled(if: TestPostgres.isConfigured && TestRedis.isConfigured))
struct QueueRebuildPostgresTests {
    private static let quick = QueueRules(maxActive: 2, ratePerMinute: 600, passSeconds: 10)

    @Test("Nobody was told of an admission that a lost Redis takes back, so no position gets worse")
    func lostBetweenChoiceAndBooks() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            let rules = try await queue.rules()
            guard case .done(let chosen) = try await queue.room.scripts.tick(rules, in: queue.id) else { return }
            #expect(chosen.admitting.map(\.qseq) == [1, 2])
            #expect(try await queue.position(3) == 3)
            #expect(try await queue.position(1) == 1)
            try await queue.wipe()
            for number in 1...4 { #expect(try await queue.position(number) == number) }
            // The late write of the life before finds another one.
            let late = try await queue.room.store.admit(
                chosen.admitting,
                ended: [],
                at: chosen.now,
                passMs: 10_000,
                epoch: rules.epoch,
                in: queue.id
            )
            #expect(late == nil)
            queue.clock.advance(4_000)
            for number in 1...4 { _ = try await queue.standing(number) }
            #expect(try await queue.tick()?.admitted == 2)
            #expect(try await queue.position(3) == 1)
        }
    }

    @Test("What a leader wrote down before it died, the next one lets in, for the whole time of a pass")
    func diedAfterBooks() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            let rules = try await queue.rules()
            guard case .done(let chosen) = try await queue.room.scripts.tick(rules, in: queue.id) else { return }
            _ = try await queue.room.store.admit(
                chosen.admitting,
                ended: [],
                at: chosen.now,
                passMs: 10_000,
                epoch: rules.epoch,
                in: queue.id
            )
            queue.clock.advance(3_000)
            #expect(try await queue.position(2) == 2)
            #expect(try await queue.tick(term: 2)?.admitted == 2)
            let until = ServerTime(millisecondsSinceEpoch: queue.clock.milliseconds + 10_000)
            #expect(try await queue.standing(1) == .admitted(expiresAt: until))
            try await queue.wipe()
            #expect(try await queue.standing(2) == .admitted(expiresAt: until))
        }
    }

    @Test("A leader of an earlier term can neither choose nor let in")
    func fenced() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            #expect(try await queue.tick(term: 2)?.admitted == 2)
            try await queue.room.leave(try queue.user(1), try await queue.event)
            queue.clock.advance(2_000)
            #expect(try await queue.tick(term: 1) == nil)
            _ = try await queue.standing(3)
            #expect(try await queue.tick(term: 2)?.admitted == 1)
        }
    }

    @Test("Once a change of the rules is answered, nobody goes in by the rules before")
    func oldRules() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            let before = try await queue.rules()
            _ = try await queue.room.update(queue.id, QueueChange(maxActive: 1))
            guard case .done(let late) = try await queue.room.scripts.tick(before, in: queue.id) else { return }
            #expect(late.rulesAreOld)
            #expect(late.admitting.isEmpty)
            #expect(try await queue.tick()?.admitted == 1)
            try await queue.wipe()
            _ = try await queue.standing(2)
            queue.clock.advance(4_000)
            for number in 1...4 { _ = try await queue.standing(number) }
            let epoch = try await queue.room.store.epoch(of: queue.id) ?? 0
            var revived = before
            revived.epoch = epoch
            guard case .done(let later) = try await queue.room.scripts.tick(revived, in: queue.id) else { return }
            #expect(later.rulesAreOld)
            #expect(later.admitting.isEmpty)
        }
    }

    @Test("After a rebuild a clock that goes back an hour keeps nobody waiting for it")
    func clockBack() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            try await queue.wipe()
            for number in 1...4 { _ = try await queue.standing(number) }
            // Whoever was here may report first.
            #expect(try await queue.tick()?.admitted == 0)
            queue.clock.advance(-3_600_000)
            for number in 1...4 { _ = try await queue.standing(number) }
            #expect(try await queue.tick()?.admitted == 2)
        }
    }

    @Test("A load that was overtaken leaves a queue that is running alone")
    func overtakenLoad() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...4 { _ = try await queue.join(number) }
            _ = try await queue.tick()
            #expect(try await queue.isAdmitted(1))
            // Its epoch is the highest, but it read PostgreSQL without the admissions of this life.
            #expect(try await queue.room.scripts.load("begin", epoch: 99, [], in: queue.id) == false)
            #expect(try await queue.isAdmitted(1))
        }
    }

    @Test("An event that was closed gives no place, even if this instance does not know yet")
    func closed() async throws {
        try await QueueFixture.run { queue in
            _ = try await queue.join(1)
            let before = try await queue.event
            _ = try await queue.events.setStatus(queue.id, .closed)
            #expect(try await queue.room.join(try queue.user(2), before) == .closed)
            let places = try await queue.postgres.query("SELECT count(*) FROM queue_entries")
            #expect(try places[0].decode(Int.self) == 1)
        }
    }

    @Test("An archived queue stays out of Redis, even where its closing is not known yet")
    func archived() async throws {
        try await QueueFixture.run { queue in
            _ = try await queue.join(1)
            let open = try await queue.event
            _ = try await queue.events.setStatus(queue.id, .closed)
            let (closed, user) = (try await queue.event, try queue.user(1))
            try await queue.room.forget(queue.id)
            #expect(try await queue.room.standing(of: user, in: open) == .none)
            #expect(try await queue.room.join(user, open) == .closed)
            try await queue.room.keepPresent([user], in: queue.id)
            try await queue.room.leave(user, open)
            try await queue.room.rebuild(queue.id)
            _ = try await queue.room.clear(queue.id)
            _ = try await queue.room.update(queue.id, QueueChange(maxActive: 1))
            #expect(try await queue.room.standing(of: user, in: closed) == .closed)
            let keys = WaitingRoomKeys.all(queue.id).map { RedisArgument($0) }
            #expect(try await queue.redis.send(RedisCommand("EXISTS", arguments: keys)).int == 0)
        }
    }

    @Test("An archive waits for a load under way, and its claim is not renewed after it")
    func archivedDuringLoad() async throws {
        try await QueueFixture.run { queue in
            _ = try await queue.join(1)
            guard case .yours = try await queue.room.scripts.claim(needing: -1, in: queue.id) else { return }
            await #expect(throws: Problem.self) { try await queue.room.forget(queue.id) }
            queue.clock.advance(QueueScripts.claimMs + 1)
            try await queue.room.forget(queue.id)
            try await queue.room.scripts.renewClaim(in: queue.id)
            let keys = WaitingRoomKeys.all(queue.id).map { RedisArgument($0) }
            #expect(try await queue.redis.send(RedisCommand("EXISTS", arguments: keys)).int == 0)
        }
    }

    @Test("A paused event keeps its queue, and lets nobody in")
    func pausedEvent() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...2 { _ = try await queue.join(number) }
            _ = try await queue.events.setStatus(queue.id, .paused)
            #expect(try await queue.tick()?.admitted == 0)
            _ = try await queue.join(3)
            #expect(try await queue.position(2) == 2)
            #expect(try await queue.position(3) == 3)
        }
    }

    @Test("However long PostgreSQL lets a rebuild wait, nobody else begins another one", .timeLimit(.minutes(20)))
    func slowBooks() async throws {
        try await QueueFixture.run(Self.quick) { queue in
            for number in 1...3 { _ = try await queue.join(number) }
            try await queue.wipe()
            let restored = try await queue.postgres.withTransaction { transaction in
                _ = try await transaction.query("SELECT FROM queues FOR UPDATE")
                let rebuild = Task { try await queue.room.rebuild.run(queue.id, needing: 0) }
                for _ in 1...2 {
                    queue.clock.advance(QueueScripts.claimMs - 1_000)
                    let now = String(queue.clock.milliseconds)
                    let loading = RedisCommand("HGET", RedisArgument(WaitingRoomKeys.meta(queue.id)), "loading_ms")
                    while try await queue.redis.send(loading).string != now {
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
                #expect(try await queue.room.scripts.claim(needing: 1, in: queue.id) == .busy)
                return rebuild
            }
            #expect(try await restored.value)
            #expect(try await queue.room.store.epoch(of: queue.id) == 2)
            #expect(try await queue.position(3) == 3)
        }
    }

    @Test("A queue of 100,000 is restored once by several instances at once, and its time is printed")
    func speed() async throws {
        try await QueueFixture.run(users: 100_000) { queue in
            _ = try await queue.join(1)
            for first in stride(from: 2, through: 100_000, by: 10_000) {
                _ = try await queue.postgres.query(
                    """
                    INSERT INTO queue_entries (event_id, user_id, qseq, state)
                    SELECT \(queue.id.rawValue)::uuid, 'u' || n, n, 'waiting'
                    FROM generate_series(\(first)::bigint, least(\(first)::bigint + 9999, 100000)) AS n
                    """
                )
            }
            _ = try await queue.postgres.query("UPDATE queues SET next_qseq = 100001")
            try await queue.wipe()
            let start = ContinuousClock.now
            let event = try await queue.event
            let totals = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    let room = WaitingRoom(
                        redis: queue.redis,
                        postgres: queue.postgres,
                        events: queue.events,
                        logger: TestRedis.logger
                    )
                    group.addTask {
                        while true {
                            do {
                                return try await room.state(of: event).waiting
                            } catch let problem as Problem where problem.code == .rebuilding {
                                continue  // As a client does that is told to come back.
                            }
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            // No bound on the time: a shared machine that builds beside this test takes five times as long.
            print("100,000 waiting restored in \(ContinuousClock.now - start)")
            #expect(totals == [100_000, 100_000, 100_000, 100_000])
            #expect(try await queue.room.store.epoch(of: queue.id) == 2)
            #expect(try await queue.position(100_000) == 100_000)
        }
    }
}
