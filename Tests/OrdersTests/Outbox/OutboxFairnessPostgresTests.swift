import Events
import HoldfastCore
import Postgres
import Seating
import TestSupport
import Testing

@testable import Orders

extension OrdersPostgresTests {
    @Test("An event with a long outbox keeps no other event waiting")
    func fairOutbox() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            // Rows whose reservation has no live claim any more are carried out without a trace; there may be many.
            let old = try await shop.reserved([seat(1)], by: ann)
            _ = try await shop.orders.cancel(old.id, by: ann)
            _ = try await shop.postgres.query(
                """
                INSERT INTO outbox (event_id, reservation_id, claim_number, action)
                SELECT event_id, id, 1, 'reserve' FROM reservations CROSS JOIN generate_series(1, 2000)
                """
            )
            let file = EventFile(
                title: "Other",
                venue: "Hall",
                startsAt: ServerTime.now + .seconds(86_400),
                sections: [Section(name: "VIP", rows: 1, seatsPerRow: 10, price: 150)]
            )
            let other = try #require(try await shop.events.setStatus(try await shop.events.create(file).id, .open))
            _ = try await shop.seating.select([seat(2)], by: ann, in: other)
            guard
                case .created(let reservation) = try await shop.orders.reserve(
                    [seat(2)],
                    by: ann,
                    in: other,
                    idempotencyKey: "other"
                )
            else { return fail("not reserved") }
            // As if the one who committed had died before telling Redis.
            _ = try await shop.postgres.query(OutboxTests.again(reservation.id))
            _ = try await shop.orders.drainOutbox()
            let left = try await shop.postgres.query(
                "SELECT count(*) FROM outbox WHERE event_id = \(other.id.rawValue)::uuid"
            )
            #expect(try left[0].decode(Int.self) == 0)
            let behind = try await shop.postgres.query("SELECT count(*) FROM outbox")
            #expect(try behind[0].decode(Int.self) == 2_000 - Outbox.batchOfEvent)
            try await shop.seating.forget(other.id)
        }
    }

    @Test("One instance at a time follows up orders, and another as soon as it is let go")
    func sweepLease() async throws {
        try await withShop { shop in
            let (one, other) = (
                SweepLease(postgres: shop.postgres, name: "test"), SweepLease(postgres: shop.postgres, name: "test")
            )
            #expect(try await one.isHeld())
            #expect(try await !other.isHeld())
            #expect(try await one.isHeld())
            await one.giveBack()
            #expect(try await other.isHeld())
            #expect(try await !one.isHeld())
            _ = try await shop.postgres.query("UPDATE leases SET until = clock_timestamp() - interval '1 second'")
            #expect(try await one.isHeld())
        }
    }
}

private enum OutboxTests {
    static func again(_ reservation: ReservationID) -> PostgresQuery { Outbox.add(.reserve, of: [reservation]) }
}
