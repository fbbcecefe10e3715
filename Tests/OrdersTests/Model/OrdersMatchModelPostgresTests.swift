import Events
import HoldfastCore
import Postgres
import Redis
import Seating
import TestSupport
import Testing

@testable import Orders

/// The model's rules and the real ones, step by step side by side.
extension OrdersPostgresTests {
    @Test("Random steps leave PostgreSQL and Redis as the model says", arguments: [UInt64(1), 2, 3, 4])
    func matchesModel(run: UInt64) async throws {
        let seed = run &* UInt64.random(in: 1...UInt64(UInt32.max))
        try await withShop(maxSeats: 100) { shop in
            var pair = try await ModelPair(shop, seed: seed)
            var step = 0
            // A run in which little happened by chance goes on.
            while step < 500 || (!pair.isVaried && step < 3_000) {
                step += 1
                let action = try await pair.step()
                if let difference = try await pair.difference() {
                    Issue.record("seed \(seed), step \(step), \(action): \(difference)")
                    return
                }
            }
            let isVaried = pair.isVaried
            #expect(isVaried, "seed \(seed) did too little")
        }
    }

    @Test("Reservations end while Redis is away, and Redis is told when it is back")
    func expiryWithoutRedis() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1)], by: ann)
            try await shop.expireNow(reservation)
            // Nobody listens at port 1.
            try await TestRedis.withClient(
                url: "redis://127.0.0.1:1/0",
                configure: { $0.commandTimeout = .milliseconds(200) }
            ) { away in
                let seating = Seating(
                    redis: away,
                    postgres: shop.postgres,
                    events: shop.events,
                    passesKey: { "hf:{event:\($0)}:passes" },
                    logger: shop.orders.logger
                )
                let orders = Orders(
                    postgres: shop.postgres,
                    seating: seating,
                    events: shop.events,
                    payments: SandboxPayments(),
                    webhookSecret: nil,
                    logger: shop.orders.logger
                )
                let sweeper = OrderSweeper(orders: orders, logger: orders.logger)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await sweeper.run() }
                    while try await shop.orders.reservation(reservation.id, of: ann)?.status != .expired {
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    group.cancelAll()
                }
            }
            #expect(try await shop.orders.drainOutbox() == 1)
            _ = try await shop.reserved([seat(1)], by: try await shop.user("bob"))
        }
    }
}

/// A model and a shop that are given the same steps.
private struct ModelPair {
    private static let names = ["ann", "bob", "cyd"]
    /// So few that they are fought for. When all are sold, the next few are.
    private static let seats = 3
    private static let rowLength = 10
    private static let rows = 2

    private let shop: OrdersPostgresTests.Shop
    private var random: SeededGenerator
    private var model = OrderModel()
    private var users: [UserID] = []
    /// By the model's numbers.
    private var reservations: [ReservationID] = []
    private var payments: [PaymentID] = []
    /// What was ordered under a key.
    private var wishes: [(key: String, user: Int, seats: [Int])] = []
    private var messages: [(id: Int, payment: Int, isCaptured: Bool)] = []
    private var nextMessage = 0

    init(_ shop: OrdersPostgresTests.Shop, seed: UInt64) async throws {
        self.shop = shop
        random = SeededGenerator(seed: seed)
        for name in Self.names { users.append(try await shop.user(name)) }
        // The model begins with a state in Redis; a wipe before the first visit would end none.
        _ = try await shop.seating.selection(of: users[0], in: shop.event)
    }

    /// Whether enough happened for the comparison to mean anything.
    var isVaried: Bool {
        reservations.count >= 5 && payments.count >= 3 && model.books.epoch > 1
    }

    private func seat(_ number: Int) -> SeatID {
        SeatID(section: "VIP", row: number / Self.rowLength + 1, number: number % Self.rowLength + 1)
    }

    /// The seats that are fought for now.
    private func seatsNow() -> Range<Int> {
        let sold = Set(model.books.reservations.filter { $0.status == .paid }.flatMap(\.seats))
        let last = Self.rows * Self.rowLength - Self.seats
        let first = stride(from: 0, to: last, by: Self.seats).first { !sold.isSuperset(of: $0..<$0 + Self.seats) }
        let start = first ?? last
        return start..<start + Self.seats
    }

    private mutating func anyReservation() -> Int? { reservations.indices.randomElement(using: &random) }

    /// One random step on both.
    mutating func step() async throws -> String {
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<5: return try await select()
        case 5..<9: return try await reserve()
        case 9..<12: return try await pay()
        case 12..<15: return try await message()
        case 15, 16: return try await cancel()
        case 17, 18: return try await expire()
        default:
            if Bool.random(using: &random) {
                try await shop.wipe()
                model.shelf = OrderModel.Shelf(epoch: 0)
                return "wipe"
            }
            _ = try await shop.orders.followUpPayments()
            for (payment, row) in model.books.payments.enumerated() where row.status == .refundDue {
                model.refunded(payment)
            }
            return "follow up"
        }
    }

    /// A model whose Redis is lost is rebuilt by its next visitor, as the real one is.
    private mutating func visit() {
        guard model.shelf.epoch == 0 else { return }
        let epoch = model.raiseEpoch()
        model.load(model.liveClaims(), epoch: epoch)
    }

    private mutating func tell() {
        guard !model.books.outbox.isEmpty else { return }
        visit()
        for row in model.books.outbox {
            let reservation = model.books.reservations[row.claim.reservation]
            let isLive = reservation.isLive && reservation.claimNumber == row.claim.number
            switch row.action {
            case .reserve where isLive: _ = model.markReserved(row.claim, order: row.id, epoch: model.books.epoch)
            case .reserve: break
            case .free: _ = model.free(row.claim, epoch: model.books.epoch)
            }
        }
        model.books.outbox = []
    }

    private mutating func select() async throws -> String {
        let user = Int.random(in: users.indices, using: &random)
        let wanted = Set(seatsNow().filter { _ in Bool.random(using: &random) })
        visit()
        let expected = model.select(wanted, by: user)
        let outcome = try await shop.seating.select(wanted.sorted().map(seat), by: users[user], in: shop.event)
        let isGranted = if case .selected = outcome { true } else { false }
        if expected != isGranted { Issue.record("select: \(outcome), the model says \(String(describing: expected))") }
        return "\(user) selects \(wanted.sorted())"
    }

    private mutating func reserve() async throws -> String {
        if Int.random(in: 0..<4, using: &random) == 0, let wish = wishes.randomElement(using: &random) {
            let outcome = try await reserve(wish.key, wish.user, wish.seats)
            guard case .repeated(let reservation) = outcome, let id = model.books.keys[wish.key],
                reservations[id] == reservation.id
            else {
                Issue.record("the same key again: \(outcome)")
                return "again"
            }
            return "\(wish.user) reserves again by \(wish.key)"
        }
        let user = Int.random(in: users.indices, using: &random)
        visit()
        let wanted = (model.shelf.holds[user]?.seats ?? []).sorted()
        guard !wanted.isEmpty, let fence = model.held(wanted, by: user) else { return "nothing held" }
        let key = "key-\(wishes.count)"
        let outcome = try await reserve(key, user, wanted)
        switch (model.claim(wanted, by: user, key: key, fence: fence), outcome) {
        case (.created, .created(let reservation)):
            reservations.append(reservation.id)
            wishes.append((key, user, wanted))
        case (.unavailable, .unavailable), (.stale, .notHeld): break
        case (let expected, let outcome): Issue.record("reserve: \(outcome), the model says \(expected)")
        }
        tell()
        return "\(user) reserves \(wanted)"
    }

    private func reserve(_ key: String, _ user: Int, _ wanted: [Int]) async throws -> ReserveOutcome {
        try await shop.orders.reserve(wanted.map(seat), by: users[user], in: shop.event, idempotencyKey: key)
    }

    private mutating func pay() async throws -> String {
        guard let id = anyReservation() else { return "nothing to pay" }
        let user = users[model.books.reservations[id].user]
        let methods = ["sandbox", "sandbox-decline", "sandbox-decline", "sandbox-never", "sandbox-never"]
        let method = methods[Int.random(in: methods.indices, using: &random)]
        let started = model.startPayment(id)
        let outcome = try await shop.orders.pay(reservations[id], by: user, method: method)
        guard let payment = started else {
            switch outcome {
            case .paid where model.books.reservations[id].status == .paid: break
            case .expired, .wrongState: break
            default: Issue.record("pay: \(outcome), the model says it cannot be paid")
            }
            return "order \(id) cannot be paid"
        }
        let rows = try await shop.postgres.query(
            """
            SELECT id::text FROM payments WHERE reservation_id = \(reservations[id].rawValue)::uuid
            ORDER BY started_at DESC, status = 'started' DESC, settled_at DESC NULLS FIRST LIMIT 1
            """
        )
        let row = try #require(rows.first)
        let written = try row.decode(String.self)
        payments.append(try #require(PaymentID(written)))
        if method != "sandbox-never" { _ = model.settle(payment, isCaptured: method == "sandbox") }
        tell()
        return "order \(id) by \(method)"
    }

    /// A new word of the bank, or one that came before.
    private mutating func message() async throws -> String {
        guard let payment = payments.indices.randomElement(using: &random) else { return "no payment" }
        var message = (id: nextMessage, payment: payment, isCaptured: Bool.random(using: &random))
        if Int.random(in: 0..<3, using: &random) == 0, let old = messages.randomElement(using: &random) {
            message = old
        } else {
            messages.append(message)
            nextMessage += 1
        }
        let reservation = reservations[model.books.payments[message.payment].reservation]
        let outcome = try await OrdersPostgresTests().webhook(
            shop,
            id: "m-\(message.id)",
            type: message.isCaptured ? "payment.succeeded" : "payment.failed",
            payments[message.payment],
            reservation
        )
        let isNew = model.books.webhooks.insert(message.id).inserted
        if outcome != (isNew ? .applied : .repeated) { Issue.record("webhook \(message): \(outcome)") }
        if isNew { _ = model.settle(message.payment, isCaptured: message.isCaptured) }
        tell()
        return "webhook \(message)"
    }

    private mutating func cancel() async throws -> String {
        guard let id = anyReservation() else { return "nothing to cancel" }
        let wasCancelled = model.books.reservations[id].status == .cancelled
        let expected = model.cancel(id) || wasCancelled
        let outcome = try await shop.orders.cancel(
            reservations[id],
            by: users[model.books.reservations[id].user]
        )
        let isCancelled = if case .cancelled = outcome { true } else { false }
        if expected != isCancelled { Issue.record("cancel: \(outcome), the model says \(expected)") }
        tell()
        return "cancel \(id)"
    }

    private mutating func expire() async throws -> String {
        guard let id = anyReservation() else { return "nothing to expire" }
        _ = try await shop.postgres.query(
            """
            UPDATE reservations SET expires_at = clock_timestamp() - interval '1 second'
            WHERE id = \(reservations[id].rawValue)::uuid
            """
        )
        model.books.reservations[id].expiresAt = model.now
        let expected = model.expireDue().count
        let ended = try await shop.orders.expireDue()
        if ended != expected { Issue.record("expired \(ended), the model says \(expected)") }
        tell()
        return "expire \(id)"
    }

    /// What differs now; nil when nothing does.
    mutating func difference() async throws -> String? {
        let rows = try await shop.postgres.query(
            """
            SELECT r.id::text, r.status, (SELECT count(*) FROM seat_claims c WHERE c.reservation_id = r.id AND c.live),
                (SELECT l.change FROM order_log l WHERE l.reservation_id = r.id ORDER BY l.id LIMIT 1)
            FROM reservations r
            """
        )
        for row in rows {
            let (id, status, live, first) = try row.decode((String, String, Int, String).self)
            guard let number = reservations.firstIndex(where: { $0.rawValue == id }) else {
                return "order \(id) is unknown"
            }
            let expected = model.books.reservations[number]
            if status != expected.status.rawValue {
                return "order \(number) is \(status), the model says \(expected.status)"
            }
            if live != (expected.isLive ? expected.seats.count : 0) { return "order \(number) has \(live) live seats" }
            if first != "created" { return "the log of order \(number) begins with \(first)" }
        }
        if rows.count != model.books.reservations.count { return "\(rows.count) orders" }
        let user = Int.random(in: users.indices, using: &random)
        visit()
        let held = try await shop.seating.selection(of: users[user], in: shop.event)
        let expected = (model.shelf.holds[user]?.seats ?? []).sorted().map(seat)
        if held.seats != expected { return "\(user) holds \(held.seats), the model says \(expected)" }
        if let fence = held.fence, let known = model.shelf.holds[user]?.fence,
            (fence.epoch, fence.counter) != (Int64(known.epoch), Int64(known.counter))
        {
            return "\(user)'s fence is \(fence), the model says \(known)"
        }
        return nil
    }
}
