import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import Seating
import TestSupport
import Testing

@testable import Orders

/// Holds in a real Redis, sales in a real PostgreSQL.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured))
struct OrdersPostgresTests {
    struct Shop: Sendable {
        let redis: RedisClient
        let postgres: PostgresClient
        let events: Events
        let seating: Seating
        let orders: Orders
        let event: Event

        func user(_ name: String) async throws -> UserID {
            _ = try await postgres.query(
                """
                INSERT INTO users (user_id, user_name, email, password_hash)
                VALUES (\(name), \(name), \(name + "@example.com"), '!') ON CONFLICT DO NOTHING
                """
            )
            return try #require(UserID(name))
        }

        /// As if this Redis had lost the event, and nothing else.
        func wipe() async throws {
            let keys = SeatingKeys(event: event.id).all
            _ = try await redis.send(RedisCommand("DEL", arguments: keys.map { RedisArgument($0) }))
        }

        func expireNow(_ reservation: Reservation) async throws {
            _ = try await postgres.query(
                """
                UPDATE reservations SET expires_at = clock_timestamp() - interval '1 second'
                WHERE id = \(reservation.id.rawValue)::uuid
                """
            )
        }

        func reserved(_ seats: [SeatID], by user: UserID, key: String = "key") async throws -> Reservation {
            _ = try await seating.select(seats, by: user, in: event)
            let outcome = try await orders.reserve(seats, by: user, in: event, idempotencyKey: key)
            guard case .created(let reservation) = outcome else {
                Issue.record("not reserved: \(outcome)")
                throw Problem(.internalError, "not reserved")
            }
            return reservation
        }
    }

    func withShop(
        holdSeconds: Int = 300,
        maxSeats: Int = 4,
        secret: String? = "secret",
        announces: Bool = false,
        _ body: (Shop) async throws -> Void
    ) async throws {
        try await TestPostgres.withDatabase { postgres in
            try await TestRedis.withClient { redis in
                let logger = Logger(label: "test.orders") { _ in SwiftLogNoOpLogHandler() }
                let events = Events(postgres: postgres)
                let file = EventFile(
                    title: "Test",
                    venue: "Hall",
                    startsAt: ServerTime.now + .seconds(86_400),
                    sale: SaleRules(maxSeatsPerUser: maxSeats, holdSeconds: holdSeconds),
                    sections: [Section(name: "VIP", rows: 2, seatsPerRow: 10, price: 150)]
                )
                let created = try await events.create(file)
                let event = try #require(try await events.setStatus(created.id, .open))
                let seating = Seating(
                    redis: redis,
                    postgres: postgres,
                    events: events,
                    passesKey: { "hf:{event:\($0)}:passes" },
                    logger: logger
                )
                let orders = Orders(
                    postgres: postgres,
                    seating: seating,
                    events: events,
                    payments: SandboxPayments(slowness: .milliseconds(50)),
                    webhookSecret: secret,
                    announces: announces,
                    logger: logger
                )
                let shop = Shop(
                    redis: redis,
                    postgres: postgres,
                    events: events,
                    seating: seating,
                    orders: orders,
                    event: event
                )
                let result: Result<Void, any Error>
                do { result = .success(try await body(shop)) } catch { result = .failure(error) }
                try await shop.wipe()
                try result.get()
            }
        }
    }

    func seat(_ number: Int) -> SeatID { SeatID(section: "VIP", row: 1, number: number) }

    // MARK: Reserve

    @Test("Of fifty requests for one held seat exactly one makes a reservation")
    func concurrentReserves() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            _ = try await shop.seating.select([seat(1)], by: ann, in: shop.event)
            let outcomes = try await withThrowingTaskGroup(of: ReserveOutcome.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        try await shop.orders.reserve(
                            [seat(1)],
                            by: ann,
                            in: shop.event,
                            idempotencyKey: "key-\(number)"
                        )
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let created = outcomes.filter { if case .created = $0 { true } else { false } }
            #expect(created.count == 1)
            let live = try await shop.postgres.query("SELECT count(*) FROM seat_claims WHERE live")
            #expect(try live[0].decode(Int.self) == 1)
        }
    }

    @Test("Two people race for a seat, in Redis and after a wiped Redis, and one gets it")
    func wipedBetweenHoldAndReserve() async throws {
        try await withShop { shop in
            let (ann, bob) = (try await shop.user("ann"), try await shop.user("bob"))
            _ = try await shop.seating.select([seat(1), seat(2)], by: ann, in: shop.event)
            guard case .unavailable(let taken, _) = try await shop.seating.lock([seat(2)], by: bob, in: shop.event)
            else { return fail("bob got ann's seat") }
            #expect(taken == [seat(2)])
            let first = try await shop.reserved([seat(1)], by: ann, key: "a")
            try await shop.wipe()
            // Ann's reservation is known again, her hold of the other seat is not.
            guard case .unavailable = try await shop.seating.lock([seat(1)], by: bob, in: shop.event)
            else { return fail("a reserved seat was offered") }
            guard case .selected(let selection) = try await shop.seating.lock([seat(2)], by: bob, in: shop.event)
            else { return fail("bob could not hold a free seat") }
            #expect(selection.fence?.epoch == 2)
            #expect(
                try await shop.orders.reserve([seat(2)], by: ann, in: shop.event, idempotencyKey: "b")
                    == .notHeld([seat(2)])
            )
            guard case .paid = try await shop.orders.pay(first.id, by: ann, method: "sandbox")
            else { return fail("ann could not pay") }
            let map = try await shop.seating.snapshot(of: shop.event)
            #expect(map.statuses.prefix(3) == Array("rla".utf8)[...])
        }
    }

    @Test("A grant of an earlier life of Redis buys nothing")
    func staleFence() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            guard case .selected(let selection) = try await shop.seating.select([seat(1)], by: ann, in: shop.event)
            else { return fail("not held") }
            try await shop.seating.rebuild(shop.event.id)
            let fence = try #require(selection.fence)
            let outcome = try await shop.postgres.withTransaction { transaction in
                try await SoldSeats.claim(
                    [PricedSeat(id: seat(1), price: 1)],
                    reservation: ReservationID(),
                    user: ann,
                    event: shop.event.id,
                    fence: fence,
                    maxSeats: 4,
                    in: transaction
                )
            }
            #expect(outcome == .staleEpoch)
        }
    }

    @Test("A repeated key gives the same answer, another body is refused")
    func idempotency() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let first = try await shop.reserved([seat(1)], by: ann)
            _ = try await shop.orders.pay(first.id, by: ann, method: "sandbox")
            #expect(
                try await shop.orders.reserve([seat(1)], by: ann, in: shop.event, idempotencyKey: "key")
                    == .repeated(first)
            )
            #expect(
                try await shop.orders.reserve([seat(2)], by: ann, in: shop.event, idempotencyKey: "key") == .keyReused
            )
            await #expect(throws: Problem.self) {
                try await shop.orders.reserve([seat(2)], by: ann, in: shop.event, idempotencyKey: "")
            }
        }
    }

    @Test("A key that is being worked on is refused")
    func keyInFlight() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            _ = try await shop.seating.select([seat(1)], by: ann, in: shop.event)
            let outcome = try await shop.postgres.withTransaction { transaction in
                _ = try await transaction.query(IdempotencyKeys.lock("key", of: ann))
                return try await shop.orders.reserve([seat(1)], by: ann, in: shop.event, idempotencyKey: "key")
            }
            #expect(outcome == .keyInFlight)
        }
    }

    @Test("Holds, pending and paid seats count together against the limit")
    func limit() async throws {
        try await withShop(maxSeats: 2) { shop in
            let ann = try await shop.user("ann")
            _ = try await shop.reserved([seat(1)], by: ann)
            guard case .limitExceeded(2, _) = try await shop.seating.lock([seat(2), seat(3)], by: ann, in: shop.event)
            else { return fail("the limit was passed") }
            guard case .selected = try await shop.seating.lock([seat(2)], by: ann, in: shop.event)
            else { return fail("the limit was too low") }
        }
    }

    // MARK: Ends

    @Test("An expired reservation gives its seats back and cannot be paid")
    func expiry() async throws {
        try await withShop { shop in
            let (ann, bob) = (try await shop.user("ann"), try await shop.user("bob"))
            let reservation = try await shop.reserved([seat(1)], by: ann)
            try await shop.expireNow(reservation)
            #expect(try await shop.orders.pay(reservation.id, by: ann, method: "sandbox") == .expired)
            #expect(try await shop.orders.expireDue() == 1)
            #expect(try await shop.orders.reservation(reservation.id, of: ann)?.status == .expired)
            _ = try await shop.reserved([seat(1)], by: bob)
        }
    }

    @Test("A cancelled reservation gives its seats back; nobody else may cancel it, see it or pay it")
    func cancel() async throws {
        try await withShop { shop in
            let (ann, bob) = (try await shop.user("ann"), try await shop.user("bob"))
            let reservation = try await shop.reserved([seat(1)], by: ann)
            #expect(try await shop.orders.cancel(reservation.id, by: bob) == .notFound)
            #expect(try await shop.orders.pay(reservation.id, by: bob, method: "sandbox") == .notFound)
            #expect(try await shop.orders.reservation(reservation.id, of: bob) == nil)
            guard case .cancelled = try await shop.orders.cancel(reservation.id, by: ann)
            else { return fail("not cancelled") }
            _ = try await shop.reserved([seat(1)], by: bob)
            #expect(try await shop.orders.drainOutbox() == 0)
        }
    }

    @Test("What Redis was not told after a commit, the outbox tells it later")
    func outbox() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1)], by: ann)
            _ = try await shop.postgres.withTransaction { transaction in
                try await SoldSeats.release([reservation.id], in: transaction)
                _ = try await transaction.query("UPDATE reservations SET status = 'cancelled'")
                return try await transaction.query(Outbox.add(.free, of: [reservation.id]))
            }
            #expect(try await shop.orders.drainOutbox() == 1)
            #expect(try await shop.orders.drainOutbox() == 0)
            guard case .selected = try await shop.seating.select([seat(1)], by: ann, in: shop.event)
            else { return fail("the seat is not free again") }
        }
    }

    // MARK: Payments

    @Test("A double click pays once")
    func doubleClick() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1)], by: ann)
            let outcomes = try await withThrowingTaskGroup(of: PayOutcome.self) { group in
                for _ in 0..<10 {
                    group.addTask { try await shop.orders.pay(reservation.id, by: ann, method: "sandbox-slow") }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.contains { if case .paid = $0 { true } else { false } })
            let attempts = try await shop.postgres.query("SELECT count(*) FROM payments")
            #expect(try attempts[0].decode(Int.self) == 1)
            #expect(try await shop.orders.report(of: shop.event).revenue == 150)
        }
    }

    @Test("A declined payment leaves the reservation pending, to be paid otherwise")
    func declined() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1)], by: ann)
            #expect(try await shop.orders.pay(reservation.id, by: ann, method: "cash") == .unknownMethod)
            guard case .declined = try await shop.orders.pay(reservation.id, by: ann, method: "sandbox-decline")
            else { return fail("not declined") }
            #expect(try await shop.orders.reservation(reservation.id, of: ann)?.status == .pending)
            guard case .paid = try await shop.orders.pay(reservation.id, by: ann, method: "sandbox")
            else { return fail("not paid") }
        }
    }

    func webhook(
        _ shop: Shop,
        id: String,
        type: String,
        _ payment: PaymentID,
        _ reservation: ReservationID
    ) async throws -> WebhookOutcome {
        let body = Array(
            #"{"id":"\#(id)","type":"\#(type)","paymentId":"\#(payment)","reservationId":"\#(reservation)"}"#.utf8
        )
        let signature = WebhookSignature.sign(body, secret: "secret", at: .now)
        return try await shop.orders.applyWebhook(signature: signature, body: body)
    }

    @Test("A payment without an answer keeps its seats until a webhook tells, once")
    func webhook() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1)], by: ann)
            guard
                case .pending(let payment, _) = try await shop.orders.pay(
                    reservation.id,
                    by: ann,
                    method: "sandbox-never"
                )
            else { return fail("not pending") }
            try await shop.expireNow(reservation)
            #expect(try await shop.orders.expireDue() == 0)
            #expect(
                try await webhook(shop, id: "1", type: "payment.succeeded", PaymentID(), reservation.id)
                    == .unknownPayment
            )
            #expect(try await webhook(shop, id: "1", type: "payment.succeeded", payment, reservation.id) == .applied)
            #expect(try await webhook(shop, id: "1", type: "payment.succeeded", payment, reservation.id) == .repeated)
            #expect(try await shop.orders.reservation(reservation.id, of: ann)?.status == .paid)
            #expect(try await shop.orders.applyWebhook(signature: "t=1,v1=00", body: []) == .invalidSignature)
        }
    }

    @Test(
        "Money that comes after the end takes the seats again if they are free, else it goes back",
        arguments: [false, true]
    )
    func lateMoney(isTaken: Bool) async throws {
        try await withShop { shop in
            let (ann, bob) = (try await shop.user("ann"), try await shop.user("bob"))
            let reservation = try await shop.reserved([seat(1)], by: ann)
            guard
                case .pending(let payment, _) = try await shop.orders.pay(
                    reservation.id,
                    by: ann,
                    method: "sandbox-never"
                )
            else { return fail("not pending") }
            #expect(try await webhook(shop, id: "1", type: "payment.failed", payment, reservation.id) == .applied)
            try await shop.expireNow(reservation)
            #expect(try await shop.orders.expireDue() == 1)
            if isTaken { _ = try await shop.reserved([seat(1)], by: bob) }
            #expect(try await webhook(shop, id: "2", type: "payment.succeeded", payment, reservation.id) == .applied)
            _ = try await shop.orders.followUpPayments()
            let status = try await shop.orders.reservation(reservation.id, of: ann)?.status
            #expect(status == (isTaken ? .refunded : .paid))
            let live = try await shop.postgres.query("SELECT count(*) FROM seat_claims WHERE live")
            #expect(try live[0].decode(Int.self) == 1)
            guard case .unavailable = try await shop.seating.lock([seat(1)], by: ann, in: shop.event)
            else { return fail("a sold seat was offered") }
        }
    }

    @Test("My reservations come newest first, page by page")
    func pages() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            var made: [ReservationID] = []
            for number in 1...3 { made.append(try await shop.reserved([seat(number)], by: ann, key: "k\(number)").id) }
            let first = try await shop.orders.reservations(of: ann, after: nil, limit: 2)
            let second = try await shop.orders.reservations(of: ann, after: first.nextCursor, limit: 2)
            #expect(Set((first.reservations + second.reservations).map(\.id)) == Set(made))
            #expect(first.reservations.count == 2)
            #expect(second.nextCursor == nil)
            await #expect(throws: Problem.self) {
                try await shop.orders.reservations(of: ann, after: "x", limit: 2)
            }
        }
    }
}

func fail(_ message: String, at location: SourceLocation = #_sourceLocation) {
    Issue.record(Comment(rawValue: message), sourceLocation: location)
}
