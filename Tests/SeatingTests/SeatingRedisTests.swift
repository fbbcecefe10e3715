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
        sale: SaleRules = SaleRules(),
        standing: Int? = nil,
        blocked: [SeatID] = [],
        _ body: (Hall) async throws -> Void
    ) async throws {
        try await TestPostgres.withDatabase { postgres in
            try await TestRedis.withClient { redis in
                let events = Events(postgres: postgres)
                var file = EventFile(
                    title: "Test",
                    venue: "Hall",
                    startsAt: ServerTime.now + .seconds(86_400),
                    sale: sale,
                    queue: queue,
                    sections: [
                        Section(name: "VIP", rows: rows, seatsPerRow: seatsPerRow, price: 150),
                        Section(name: "R", rows: 1, seatsPerRow: 3, price: 100),
                    ],
                    generalAdmission: standing.map { [GeneralAdmission(name: "Floor", capacity: $0, price: 80)] } ?? []
                )
                file.blocked = blocked
                let created = try await events.create(file)
                let event = try #require(try await events.setStatus(created.id, .open))
                let hall = Hall(redis: redis, postgres: postgres, events: events, event: event)
                let result: Result<Void, any Error>
                do {
                    // The state is there before several ask for it at once: on a busy machine the first reading takes
                    // longer than the others would wait.
                    _ = try await hall.seating().snapshot(of: event)
                    result = .success(try await body(hall))
                } catch { result = .failure(error) }
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
            BestWish(quantity: quantity, section: section, maxPrice: maxPrice),
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
                        // Who waits for another's rebuild for more than a second is told to come back, and does.
                        while true {
                            do {
                                let map = try await seating.snapshot(of: hall.event)
                                return map.statuses.count { $0 == SeatSnapshot.reserved }
                            } catch let problem as Problem where problem.code == .rebuilding {
                                await Task.yield()
                            }
                        }
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

// MARK: Standing places, alternatives, and single seats

extension SeatingRedisTests {
    private func vip(_ row: Int, _ numbers: Int...) -> [SeatID] {
        numbers.map { SeatID(section: "VIP", row: row, number: $0) }
    }

    @Test("A standing area is never oversold, whoever asks at once, and its places are counted, given back and shown")
    func standingPlaces() async throws {
        try await withHall(standing: 25) { hall in
            let instances = [hall.seating(), hall.seating()]
            let given = try await withThrowingTaskGroup(of: [SeatID].self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let user = try #require(UserID("fan-\(number)"))
                        let outcome = try await instances[number % 2]
                            .lock([], standing: ["Floor": 2], by: user, in: hall.event)
                        guard case .selected(let selection) = outcome else { return [] }
                        return selection.seats
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(given.count == 24 && Set(given).count == 24)
            let seating = hall.seating()
            #expect(try await seating.availability(of: hall.event) == ["VIP": 20, "R": 3, "Floor": 1])
            let late = try #require(UserID("late"))
            guard
                case .tooFewPlaces(area: "Floor", left: 1, _) = try await seating.select(
                    vip(1, 1),
                    standing: ["Floor": 2],
                    by: late,
                    in: hall.event
                ),
                case .selected(let both) = try await seating.select(
                    vip(1, 1),
                    standing: ["Floor": 1],
                    by: late,
                    in: hall.event
                ),
                case .unknownAreas(["Roof"]) = try await seating.lock(
                    [],
                    standing: ["Roof": 1],
                    by: late,
                    in: hall.event
                )
            else { return fail("another answer than expected") }
            #expect(both.seats.count == 2 && both.seats.contains { $0.rawValue.hasPrefix("Floor-0-") })
            // The same wish again keeps the place and the fence; without the place it is free again.
            guard
                case .selected(let again) = try await seating.select(
                    vip(1, 1),
                    standing: ["Floor": 1],
                    by: late,
                    in: hall.event
                ), case .selected(let fewer) = try await seating.select(vip(1, 1), by: late, in: hall.event)
            else { return fail("another answer than expected") }
            #expect(again.seats == both.seats && again.fence == both.fence)
            #expect(fewer.seats == vip(1, 1))
            #expect(try await hall.seating().availability(of: hall.event)["Floor"] == 1)
            guard
                case .selected(let found) = try await seating.bestAvailable(
                    BestWish(quantity: 1, section: "Floor"),
                    by: late,
                    in: hall.event
                )
            else { return fail("no place found") }
            #expect(found.given.map(\.rawValue).allSatisfy { $0.hasPrefix("Floor-0-") })
        }
    }

    @Test("Who asks for an alternative gets the nearest block in one go, or a plain refusal when there is none")
    func alternative() async throws {
        try await withHall { hall in
            let seating = hall.seating()
            let (ann, bob) = (try #require(UserID("ann")), try #require(UserID("bob")))
            let options = SelectionOptions(alternatives: true)
            _ = try await seating.select(vip(1, 1, 2), by: ann, in: hall.event)
            guard case .unavailable(let taken, _) = try await seating.select(vip(1, 2, 3), by: bob, in: hall.event),
                case .selected(let other) = try await seating.select(
                    vip(1, 2, 3),
                    by: bob,
                    in: hall.event,
                    options: options
                ),
                // Seats of one's own count as free.
                case .selected(let moved) = try await seating.select(
                    vip(1, 2, 3, 4),
                    by: bob,
                    in: hall.event,
                    options: options
                )
            else { return fail("another answer than expected") }
            #expect(taken == vip(1, 2))
            #expect(other.seats == vip(1, 3, 4) && other.given == vip(1, 3, 4))
            #expect(moved.seats == vip(1, 3, 4, 5) && moved.given == vip(1, 5))
        }
    }

    @Test(
        "A choice that leaves a seat alone is refused where the event says so, unless its block is one too long for it"
    )
    func orphans() async throws {
        try await withHall(seatsPerRow: 5, sale: SaleRules(noOrphanSeats: true)) { hall in
            let seating = hall.seating()
            let (ann, bob) = (try #require(UserID("ann")), try #require(UserID("bob")))
            guard case .orphans(let alone, _) = try await seating.select(vip(1, 2), by: ann, in: hall.event),
                case .selected = try await seating.select(vip(1, 1, 2), by: ann, in: hall.event),
                case .selected = try await seating.select(vip(1, 3, 4), by: bob, in: hall.event),
                // Giving back is always allowed.
                case .selected(let rest) = try await seating.select(vip(1, 3), by: bob, in: hall.event)
            else { return fail("another answer than expected") }
            #expect(alone == vip(1, 1))
            #expect(rest.seats == vip(1, 3))
        }
    }

    @Test("Blocked seats are on nobody's map, cannot be had, and come back when the box office says so")
    func blocked() async throws {
        let kept = [SeatID(section: "VIP", row: 1, number: 5), SeatID(section: "VIP", row: 1, number: 6)]
        try await withHall(blocked: kept) { hall in
            let seating = hall.seating()
            let ann = try #require(UserID("ann"))
            #expect(try await seating.availability(of: hall.event)["VIP"] == 18)
            guard case .unavailable = try await seating.lock([kept[0]], by: ann, in: hall.event),
                case .selected = try await seating.lock(vip(1, 1), by: ann, in: hall.event)
            else { return fail("another answer than expected") }
            // Its holder loses a seat that is blocked; blocking twice is blocking once.
            #expect(try await seating.setBlocked(true, vip(1, 1), in: hall.event) == vip(1, 1))
            #expect(try await seating.setBlocked(true, vip(1, 1), in: hall.event) == vip(1, 1))
            #expect(try await seating.selection(of: ann, in: hall.event).seats.isEmpty)
            try await hall.wipe()
            #expect(try await hall.seating().availability(of: hall.event)["VIP"] == 17)
            #expect(try await seating.setBlocked(false, kept, in: hall.event) == kept)
            guard case .selected = try await seating.lock(kept, by: ann, in: hall.event) else {
                return fail("not given after all")
            }
        }
    }

    @Test("A request sent again with its id is carried out once")
    func repeated() async throws {
        try await withHall(standing: 10) { hall in
            let seating = hall.seating()
            let ann = try #require(UserID("ann"))
            func named(_ id: String) -> SelectionOptions { SelectionOptions(request: SeatRequestID(id)) }
            let wish = BestWish(quantity: 2)
            let first = try await seating.bestAvailable(wish, options: named("1"), by: ann, in: hall.event)
            #expect(try await seating.bestAvailable(wish, options: named("1"), by: ann, in: hall.event) == first)
            for _ in 0..<3 { _ = try await seating.extend(by: ann, in: hall.event, options: named("1")) }
            let extended = try await seating.selection(of: ann, in: hall.event)
            #expect(extended.extensionsLeft == Selection.maxExtensions - 1)
            for _ in 0..<2 {
                _ = try await seating.lock([], standing: ["Floor": 1], by: ann, in: hall.event, options: named("2"))
            }
            #expect(try await seating.selection(of: ann, in: hall.event).seats.count == 3)
        }
    }
}

private func fail(_ message: String, at location: SourceLocation = #_sourceLocation) {
    Issue.record(Comment(rawValue: message), sourceLocation: location)
}
