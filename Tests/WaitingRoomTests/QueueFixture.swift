import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import Synchronization
import TestSupport
import Testing

@testable import WaitingRoom

/// One event with a waiting room on real stores, and a clock that the test moves.
///
/// Nothing runs in the background: ticks happen when the test says so.
struct QueueFixture: Sendable {
    final class TestClock: Sendable {
        private let now: Mutex<Int64>
        init(_ now: Int64) { self.now = Mutex(now) }
        var milliseconds: Int64 { now.withLock { $0 } }
        func advance(_ milliseconds: Int64) { now.withLock { $0 += milliseconds } }
    }

    let room: WaitingRoom
    let events: Events
    let postgres: PostgresClient
    let redis: RedisClient
    let clock: TestClock
    let id: EventID

    static func run<R>(
        _ rules: QueueRules = QueueRules(),
        opens: Bool = true,
        users: Int = 20,
        _ body: (QueueFixture) async throws -> R
    ) async throws -> R {
        try await TestPostgres.withDatabase { postgres in
            try await TestRedis.withClient { redis in
                let events = Events(postgres: postgres)
                let file = EventFile(
                    title: "T",
                    venue: "V",
                    startsAt: .now,
                    queue: rules,
                    sections: [Section(name: "A", rows: 1, seatsPerRow: 1, price: 1)]
                )
                let event = try await events.create(file)
                if opens { _ = try await events.setStatus(event.id, .open) }
                _ = try await postgres.query(
                    """
                    INSERT INTO users (user_id, user_name, email, password_hash)
                    SELECT 'u' || n, 'User', 'u' || n || '@example.com', '!'
                    FROM generate_series(1, \(users)::integer) AS n
                    """
                )
                let clock = TestClock(ServerTime.now.millisecondsSinceEpoch)
                let room = WaitingRoom(
                    redis: redis,
                    postgres: postgres,
                    events: events,
                    logger: TestRedis.logger,
                    clock: { clock.milliseconds }
                )
                let fixture = QueueFixture(
                    room: room,
                    events: events,
                    postgres: postgres,
                    redis: redis,
                    clock: clock,
                    id: event.id
                )
                let result: Result<R, any Error>
                do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                try await fixture.wipe()
                return try result.get()
            }
        }
    }

    var event: Event {
        get async throws {
            events.forget(id)
            return try #require(try await events.event(id))
        }
    }

    /// Forgets this event's queue in Redis, and nothing else.
    func wipe() async throws {
        let keys = WaitingRoomKeys.all(id).map { RedisArgument($0) }
        _ = try await redis.send(RedisCommand("DEL", arguments: keys))
    }

    func user(_ number: Int) throws -> UserID { try #require(UserID("u\(number)")) }

    func join(_ number: Int) async throws -> QueueStanding { try await room.join(try user(number), try await event) }

    func standing(_ number: Int) async throws -> QueueStanding {
        try await room.standing(of: try user(number), in: try await event)
    }

    func position(_ number: Int) async throws -> Int? {
        guard case .waiting(_, let position, _, _) = try await standing(number) else { return nil }
        return position
    }

    func isAdmitted(_ number: Int) async throws -> Bool {
        if case .admitted = try await standing(number) { true } else { false }
    }

    /// What the leader of a term would tick with now.
    func rules(term: Int64 = 1) async throws -> QueueScripts.TickRules {
        let event = try await event
        return QueueScripts.TickRules(
            epoch: try await room.store.epoch(of: id) ?? 0,
            term: term,
            version: event.queueVersion,
            maxActive: event.queue.maxActive,
            ratePerMinute: event.queue.ratePerMinute,
            admits: event.status == .open && !event.queue.paused,
            publishes: true
        )
    }

    struct Ticked: Equatable {
        var admitted: Int
        var ended: Int
    }

    /// One tick as the leader does it: choose, write down, let in.
    func tick(term: Int64 = 1) async throws -> Ticked? {
        let event = try await event
        var rules = try await rules(term: term)
        guard case .done(let result) = try await room.scripts.tick(rules, in: id) else { return nil }
        let admissions = try await room.store.admit(
            result.admitting,
            ended: result.ended,
            at: result.now,
            passMs: Int64(event.queue.passSeconds) * 1_000,
            epoch: rules.epoch,
            in: id
        )
        try await room.store.expire(upTo: result.now, in: id)
        guard let admissions, !admissions.isEmpty else { return Ticked(admitted: 0, ended: result.ended.count) }
        (rules.admissions, rules.chosenAt) = (admissions, result.now)
        guard case .done(let last) = try await room.scripts.tick(rules, in: id) else { return nil }
        try await room.store.note(letIn: last.letIn, in: id)
        return Ticked(admitted: last.letIn.count, ended: result.ended.count)
    }
}
