import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import TestSupport
import Testing

@testable import Seating

/// An event that was closed and taken out of Redis, against a real PostgreSQL.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct ArchivedSeatsRedisTests {
    private func keysLeft(_ seats: TenSeats) async throws -> Int {
        let keys = SeatingKeys(event: seats.event.id).all.map { RedisArgument($0) }
        return try await seats.redis.send(RedisCommand("EXISTS", arguments: keys)).int ?? -1
    }

    /// Seats 1 and 2 are ann's by an order; bob held seat 5 before the end.
    private func withArchive(_ body: (TenSeats, Event, ClaimID) async throws -> Void) async throws {
        try await TenSeats.with { seats in
            let (id, reservation) = (seats.event.id.rawValue, ReservationID())
            try await seats.postgres.withTransaction { transaction in
                _ = try await transaction.pipeline([
                    """
                    INSERT INTO users (user_id, user_name, email, password_hash)
                    VALUES ('ann', 'A', 'a@example.com', '!')
                    """,
                    """
                    INSERT INTO reservations (id, event_id, user_id, total_amount, currency, expires_at)
                    VALUES (\(reservation.rawValue)::uuid, \(id)::uuid, 'ann', 0, 'KRW', now() + interval '1 hour')
                    """,
                    """
                    INSERT INTO seat_claims
                        (reservation_id, event_id, seat_id, user_id, price, fence_epoch, fence_counter)
                    SELECT \(reservation.rawValue)::uuid, event_id, seat_id, 'ann', 0, 1, 1 FROM seats
                    WHERE event_id = \(id)::uuid AND ordinal < 2
                    """,
                ])
            }
            let bob = try #require(UserID("bob"))
            _ = try await seats.seating.select([TenSeats.seat(5)], by: bob, in: seats.event)
            let closed = try #require(try await seats.seating.events.setStatus(seats.event.id, .closed))
            #expect(try await keysLeft(seats) > 0)
            try await seats.seating.forget(closed.id)
            #expect(try await keysLeft(seats) == 0)
            try await body(seats, closed, ClaimID(reservation: reservation, number: 1))
        }
    }

    private func anotherInstance(_ seats: TenSeats) -> Seating {
        Seating(
            redis: seats.redis,
            postgres: seats.postgres,
            events: Events(postgres: seats.postgres),
            passesKey: { "hf:{event:\($0)}:test-passes" },
            logger: Logger(label: "test.seats") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test("Whoever looks at an archived event brings nothing of it back into Redis")
    func looks() async throws {
        try await withArchive { seats, closed, _ in
            let bob = try #require(UserID("bob"))
            for seating in [seats.seating, anotherInstance(seats)] {
                let map = try await seating.snapshot(of: closed)
                #expect(String(decoding: map.statuses, as: UTF8.self) == "rraaaaaaaa")
                let selection = try await seating.selection(of: bob, in: closed)
                #expect(selection.seats.isEmpty)
                #expect(selection.seq == map.seq)
                let changes = try await seating.changes(in: closed, since: 1)
                #expect(changes == .reset)
                let free = try await seating.availability(of: closed)
                #expect(free == ["Floor A": 8])
            }
            #expect(try await keysLeft(seats) == 0)
        }
    }

    @Test("Nobody gets a seat of an archived event, not even where its closing is not known yet")
    func acts() async throws {
        try await withArchive { seats, _, _ in
            let bob = try #require(UserID("bob"))
            let open = seats.event
            for seating in [seats.seating, anotherInstance(seats)] {
                guard case .notOpen(let none) = try await seating.select([TenSeats.seat(7)], by: bob, in: open) else {
                    return fail("seats were given")
                }
                #expect(none.seats.isEmpty)
                guard
                    case .notOpen = try await seating.bestAvailable(
                        BestWish(quantity: 1, section: nil, maxPrice: nil),
                        by: bob,
                        in: open
                    )
                else { return fail("the best seats were given") }
                let released = try await seating.release(nil, by: bob, in: open)
                #expect(released.seats.isEmpty)
                guard case .nothingHeld = try await seating.extend(by: bob, in: open) else {
                    return fail("a hold was extended")
                }
            }
            #expect(try await keysLeft(seats) == 0)
        }
    }

    @Test("A refund, an operator's rebuild and a reconciler leave an archived event out of Redis")
    func operators() async throws {
        try await withArchive { seats, closed, claim in
            let ann = try #require(UserID("ann"))
            let ordered = [TenSeats.seat(1), TenSeats.seat(2)]
            let isTold = try await seats.seating.free(ordered, claim: claim, in: closed.id, epoch: 1)
            #expect(isTold)
            let isMarked = try await seats.seating.markReserved(
                ordered,
                claim: claim,
                order: 9,
                user: ann,
                in: closed.id,
                epoch: 1
            )
            #expect(isMarked)
            let isRebuilt = try await seats.seating.rebuild(closed.id)
            #expect(!isRebuilt)
            let corrected = try await seats.seating.reconcile(closed.id, breath: .zero, patience: .zero)
            #expect(corrected == 0)
            #expect(try await keysLeft(seats) == 0)
        }
    }

    @Test("What Redis alone still knew of holds is written down before it is archived")
    func history() async throws {
        try await withArchive { seats, closed, _ in
            let bob = try #require(UserID("bob"))
            let history = SeatHistory(redis: seats.redis, postgres: seats.postgres)
            let steps = try await history.entries(of: bob, in: closed.id, limit: 10)
            #expect(steps.entries.map(\.action) == [.held])
        }
    }

    private func fail(_ comment: Comment) { Issue.record(comment) }
}
