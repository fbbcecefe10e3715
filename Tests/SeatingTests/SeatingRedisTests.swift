import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import Synchronization
import TestSupport
import Testing

@testable import Seating

@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured))
struct SeatingRedisTests {
    struct Hall: Sendable {
        let redis: RedisClient
        let postgres: PostgresClient
        let events: Events
        let event: Event

        /// One more instance.
        func seating(restorePasses: @escaping Seating.RestorePasses = { _ in false }) -> Seating {
            Seating(
                redis: redis,
                postgres: postgres,
                events: events,
                passesKey: { "hf:{event:\($0)}:test-passes" },
                restorePasses: restorePasses,
                logger: Logger(label: "test.seating") { _ in SwiftLogNoOpLogHandler() }
            )
        }

        func wipe() async throws {
            let keys = SeatingKeys(event: event.id).all
            _ = try await redis.send(RedisCommand("DEL", arguments: keys.map { RedisArgument($0) }))
        }
    }

    private func withHall(
        queue: QueueRules = .disabled,
        rows: Int = 2,
        seatsPerRow: Int = 10,
        _ body: (Hall) async throws -> Void
    ) async throws {
        try await TestPostgres.withDatabase { postgres in
            try await TestRedis.withClient { redis in
                let events = Events(postgres: postgres)
                let file = EventFile(
                    title: "Test",
                    venue: "Hall",
                    startsAt: ServerTime.now + .seconds(86_400),
                    queue: queue,
                    sections: [
                        Section(name: "VIP", rows: rows, seatsPerRow: seatsPerRow, price: 150),
                        Section(name: "R", rows: 1, seatsPerRow: 3, price: 100),
                    ]
                )
                let created = try await events.create(file)
                let event = try #require(try await events.setStatus(created.id, .open))
                let hall = Hall(redis: redis, postgres: postgres, events: events, event: event)
                let result: Result<Void, any Error>
                do { result = .success(try await body(hall)) } catch { result = .failure(error) }
                try await hall.wipe()
                try result.get()
            }
        }
    }

    private func best(
        _ quantity: Int,
        _ user: String,
        in hall: Hall,
        _ seating: Seating,
        section: String? = nil,
        maxPrice: Int64? = nil
    ) async throws -> SelectionOutcome {
        try await seating.bestAvailable(
            quantity: quantity,
            section: section,
            maxPrice: maxPrice,
            by: try #require(UserID(user)),
            in: hall.event
        )
    }

    @Test("The best available seats touch, are each given once, and keep to section, price and limit")
    func bestAvailable() async throws {
        try await withHall { hall in
            let instances = [hall.seating(), hall.seating()]
            let groups = try await withThrowingTaskGroup(of: [SeatID].self) { group in
                for number in 0..<10 {
                    group.addTask {
                        let outcome = try await best(
                            2,
                            "user-\(number)",
                            in: hall,
                            instances[number % 2],
                            section: "VIP"
                        )
                        guard case .selected(let selection) = outcome else { return [] }
                        return selection.seats
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(groups.allSatisfy { $0.count == 2 })
            #expect(Set(groups.joined()).count == 20)
            guard case .noneLeft = try await best(1, "late", in: hall, instances[0], section: "VIP"),
                case .noneLeft = try await best(1, "late", in: hall, instances[0], maxPrice: 99),
                case .selected(let cheap) = try await best(3, "late", in: hall, instances[0], maxPrice: 100),
                case .limitExceeded(maxSeats: 4, _) = try await best(5, "later", in: hall, instances[0])
            else { return fail("another answer than expected") }
            #expect(cheap.seats == (1...3).map { SeatID(section: "R", row: 1, number: $0) })
            await #expect(throws: Problem.self) { try await best(0, "late", in: hall, instances[0]) }
        }
    }

    @Test("Ten thousand seats in one request are refused before any work")
    func requestBound() async throws {
        try await withHall { hall in
            let seating = hall.seating()
            let user = try #require(UserID("ann"))
            let seats = (1...10_000).map { SeatID(section: "VIP", row: 1, number: $0) }
            await #expect(throws: Problem.self) { try await seating.select(seats, by: user, in: hall.event) }
            await #expect(throws: Problem.self) { try await seating.lock(seats, by: user, in: hall.event) }
            await #expect(throws: Problem.self) { try await seating.release(seats, by: user, in: hall.event) }
            let most = Array(seats.prefix(Seating.maxSeatsPerRequest))
            guard case .unknownSeats(let unknown) = try await seating.select(most, by: user, in: hall.event)
            else { return fail("seats that do not exist were taken") }
            #expect(unknown.count == Seating.maxSeatsPerRequest - 10)
        }
    }

    @Test("Nobody is refused for want of a pass before lost passes are restored")
    func lostPasses() async throws {
        try await withHall(queue: QueueRules()) { hall in
            let asked = Mutex(0)
            let seating = hall.seating { event in
                asked.withLock { $0 += 1 }
                let key = RedisArgument("hf:{event:\(event)}:test-passes")
                let until = ServerTime.now.millisecondsSinceEpoch + 60_000
                _ = try await hall.redis.send(RedisCommand("ZADD", key, RedisArgument(until), "ann"))
                return true
            }
            let seats = [SeatID(section: "VIP", row: 1, number: 1)]
            let (ann, bob) = (try #require(UserID("ann")), try #require(UserID("bob")))
            guard case .selected = try await seating.select(seats, by: ann, in: hall.event),
                case .notAdmitted = try await seating.lock(seats, by: bob, in: hall.event)
            else { return fail("another answer than expected") }
            #expect(asked.withLock { $0 } == 2)
            let key = RedisArgument("hf:{event:\(hall.event.id)}:test-passes")
            _ = try await hall.redis.send(RedisCommand("DEL", key))
        }
    }

    @Test("Instances that find a state of 10,000 claimed seats lost at once begin one new life")
    func rebuildAtOnce() async throws {
        try await withHall(rows: 100, seatsPerRow: 100) { hall in
            _ = try await hall.seating().snapshot(of: hall.event)
            _ = try await hall.postgres.withTransaction { transaction in
                _ = try await transaction.query(
                    """
                    INSERT INTO users (user_id, user_name, email, password_hash) VALUES ('ann', 'ann', 'a@example.com', '!')
                    """
                )
                _ = try await transaction.query(
                    """
                    INSERT INTO reservations (id, event_id, user_id, total_amount, currency, expires_at)
                    VALUES (gen_random_uuid(), \(hall.event.id.rawValue)::uuid, 'ann', 0, 'KRW', now())
                    """
                )
                return try await transaction.query(
                    """
                    INSERT INTO seat_claims
                        (reservation_id, event_id, seat_id, user_id, price, fence_epoch, fence_counter)
                    SELECT r.id, r.event_id, s.seat_id, 'ann', 0, 1, 1
                    FROM reservations r JOIN seats s ON s.event_id = r.event_id AND s.section = 'VIP'
                    """
                )
            }
            try await hall.wipe()
            let instances = (0..<4).map { _ in hall.seating() }
            let start = ContinuousClock.now
            let sold = try await withThrowingTaskGroup(of: Int.self) { group in
                for seating in instances {
                    group.addTask {
                        try await seating.snapshot(of: hall.event).statuses.count { $0 == SeatSnapshot.reserved }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            // No bound on the time, which a shared machine decides; it is printed.
            print("10,000 claimed seats restored in \(ContinuousClock.now - start)")
            #expect(sold == [10_000, 10_000, 10_000, 10_000])
            #expect(try await SeatEpochs.current(of: hall.event.id, in: hall.postgres) == 2)
        }
    }
}

private func fail(_ message: String, at location: SourceLocation = #_sourceLocation) {
    Issue.record(Comment(rawValue: message), sourceLocation: location)
}
