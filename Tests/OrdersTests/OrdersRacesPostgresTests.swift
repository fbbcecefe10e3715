import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import Seating
import TestSupport
import Testing

@testable import Orders

/// What several instances do to each other.
extension OrdersPostgresTests {
    @Test("A late word about an earlier reservation of a seat does not undo the one that has it now")
    func lateWord() async throws {
        try await withShop { shop in
            let (ann, bob) = (try await shop.user("ann"), try await shop.user("bob"))
            let first = try await shop.reserved([seat(1)], by: ann)
            let claim = ClaimID(reservation: first.id, number: 1)
            // Ends in PostgreSQL while Redis is out of reach: it was told neither of the reservation nor of its end.
            let keys = SeatingKeys(event: shop.event.id)
            _ = try await shop.redis.send(
                RedisCommand("DEL", RedisArgument(keys.claims), RedisArgument(keys.claimants))
            )
            _ = try await shop.redis.send(RedisCommand("SETRANGE", RedisArgument(keys.map), "0", "a"))
            try await shop.postgres.withTransaction { transaction in
                try await SoldSeats.release([first.id], in: transaction)
                _ = try await transaction.query("UPDATE reservations SET status = 'cancelled'")
                _ = try await transaction.query(Outbox.add(.free, of: [first.id]))
            }
            _ = try await shop.reserved([seat(1)], by: bob)
            // An instance that slept since it read ann's row.
            let isDone = try await shop.seating.markReserved(
                [seat(1)],
                claim: claim,
                order: 1,
                user: ann,
                in: shop.event.id,
                epoch: 1
            )
            #expect(isDone)
            #expect(try await shop.orders.drainOutbox() == 1)
            try await expectSameSeats(shop)
        }
    }

    @Test("A word about a reservation that was read before a rebuild is read again")
    func wordOfAnEarlierLife() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let first = try await shop.reserved([seat(1)], by: ann)
            _ = try await shop.orders.cancel(first.id, by: ann)
            try await shop.seating.rebuild(shop.event.id)
            let isDone = try await shop.seating.markReserved(
                [seat(1)],
                claim: ClaimID(reservation: first.id, number: 1),
                order: 1,
                user: ann,
                in: shop.event.id,
                epoch: 1
            )
            #expect(!isDone)
            try await expectSameSeats(shop)
        }
    }

    @Test("A rebuild ends the old life before it reads PostgreSQL, so that nothing is told to a life that is lost")
    func rebuildOrder() async throws {
        try await withShop { shop in
            _ = try await shop.reserved([seat(1)], by: try await shop.user("ann"))
            let meta = RedisArgument(SeatingKeys(event: shop.event.id).meta)
            // The reading has to wait for this transaction.
            let (running, isOver) = try await shop.postgres.withTransaction { transaction in
                _ = try await transaction.query("LOCK TABLE seat_claims IN ACCESS EXCLUSIVE MODE")
                // Awaited below.
                let running = Task { try await shop.seating.rebuild(shop.event.id) }
                var isOver = false
                let deadline = ContinuousClock.now + .seconds(60)
                while !isOver, ContinuousClock.now < deadline {
                    isOver = try await shop.redis.send(RedisCommand("HEXISTS", meta, "epoch")).int == 0
                }
                return (running, isOver)
            }
            _ = try await running.value
            #expect(isOver)
            try await expectSameSeats(shop)
        }
    }

    @Test("Sales, cancellations, lost states and rebuilds at once leave Redis and PostgreSQL with the same seats sold")
    func storm() async throws {
        try await withShop(maxSeats: 20) { shop in
            let other = Seating(
                redis: shop.redis,
                postgres: shop.postgres,
                events: shop.events,
                passesKey: { "hf:{event:\($0)}:passes" },
                logger: Logger(label: "test.orders") { _ in SwiftLogNoOpLogHandler() }
            )
            var users: [UserID] = []
            for number in 1...6 { users.append(try await shop.user("user-\(number)")) }
            try await withThrowingDiscardingTaskGroup { group in
                for (index, user) in users.enumerated() {
                    group.addTask { await buyAndCancel(shop, user, seats: [seat(1 + index % 4), seat(5 + index % 3)]) }
                }
                group.addTask {
                    for _ in 0..<25 {
                        try await other.rebuild(shop.event.id)
                        try await shop.wipe()
                        _ = try? await other.snapshot(of: shop.event)
                    }
                }
            }
            while try await shop.orders.drainOutbox() > 0 {}
            try await expectSameSeats(shop)
            let twice = try await shop.postgres.query(
                "SELECT seat_id FROM seat_claims WHERE live GROUP BY event_id, seat_id HAVING count(*) > 1"
            )
            #expect(twice.isEmpty)
        }
    }

    /// Failures are what the storm is for; what they leave behind is checked at the end.
    private func buyAndCancel(_ shop: Shop, _ user: UserID, seats: [SeatID]) async {
        for round in 0..<40 {
            guard case .selected? = try? await shop.seating.select(seats, by: user, in: shop.event) else { continue }
            let outcome = try? await shop.orders.reserve(
                seats,
                by: user,
                in: shop.event,
                idempotencyKey: "\(user)-\(round)"
            )
            guard case .created(let reservation)? = outcome, round < 38 else { continue }
            _ = try? await shop.orders.cancel(reservation.id, by: user)
        }
    }

    private func expectSameSeats(_ shop: Shop, at location: SourceLocation = #_sourceLocation) async throws {
        let layout = try await shop.events.layout(of: shop.event)
        let rows = try await shop.postgres.query("SELECT seat_id FROM seat_claims WHERE live")
        let sold = Set(try rows.compactMap { SeatID(try $0.decode(String.self)) })
        let keys = SeatingKeys(event: shop.event.id)
        _ = try await shop.seating.changes(in: shop.event, since: 0)  // Restores what the last wipe took.
        let claims = try await shop.redis.send(RedisCommand("HKEYS", RedisArgument(keys.claims))).array ?? []
        // Places are written with their ordinal: 4:VIP-1-5.
        let ids = claims.compactMap { $0.string?.split(separator: ":").last.flatMap { SeatID(String($0)) } }
        #expect(Set(ids) == sold, sourceLocation: location)
        #expect(sold.allSatisfy { layout.seat($0) != nil }, sourceLocation: location)
    }
}
