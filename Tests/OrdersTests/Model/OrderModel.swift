/// The rules of orders, as pure values: what PostgreSQL has in its books, what Redis has on its shelf, and what the bank
/// did. Each function is one atomic step of a store; whoever calls them decides what happens in between.
struct OrderModel {
    typealias User = Int
    typealias Seat = Int
    typealias ReservationID = Int
    typealias PaymentID = Int

    enum Status: String { case pending, paying, paid, expired, cancelled, refunded }
    enum PaymentStatus { case started, succeeded, declined, refundDue, refunded }
    enum Change: Equatable { case created, paying, declined, paid, expired, cancelled, refundDue, refunded }

    struct Fence: Comparable {
        var epoch: Int
        var counter: Int
        static func < (one: Fence, other: Fence) -> Bool {
            (one.epoch, one.counter) < (other.epoch, other.counter)
        }
    }

    struct ClaimID: Hashable {
        var reservation: ReservationID
        var number: Int
    }

    struct Reservation {
        var user: User
        var seats: [Seat]
        var status = Status.pending
        var expiresAt: Int
        var claimNumber = 1
        /// Whether its seats are its own.
        var isLive = true
    }

    struct Payment {
        var reservation: ReservationID
        var status = PaymentStatus.started
    }

    struct OutboxRow {
        enum Action { case reserve, free }
        var id: Int
        var claim: ClaimID
        var action: Action
    }

    /// PostgreSQL.
    struct Books {
        var epoch = 1
        var reservations: [Reservation] = []
        var payments: [Payment] = []
        var fences: [Seat: Fence] = [:]
        var keys: [String: ReservationID] = [:]
        var webhooks: Set<Int> = []
        var outbox: [OutboxRow] = []
        var nextRow = 1
        var log: [(reservation: ReservationID, change: Change)] = []
        /// Every sale with its grant, for the checker.
        var sales: [(seat: Seat, fence: Fence, epoch: Int)] = []
    }

    struct Hold {
        var seats: Set<Seat>
        var fence: Fence
        var expiresAt: Int
    }

    /// Redis. `epoch` 0: lost, or being rebuilt.
    struct Shelf {
        var epoch = 1
        /// The life that is about to be loaded; what is older than that may not be loaded any more.
        var rebuilding = 0
        var counter = 0
        var holds: [User: Hold] = [:]
        var claims: [Seat: (claim: ClaimID, order: Int)] = [:]
        var freed: Set<ClaimID> = []
    }

    /// The bank: what became of the money.
    struct Bank {
        enum Attempt { case unknown, declined, captured }
        var attempts: [PaymentID: Attempt] = [:]
        var refunds: [PaymentID: Int] = [:]
    }

    var now = 0
    var books = Books()
    var shelf = Shelf()
    var bank = Bank()
    let mutant: OrderMutant?

    static let holdTime = 10

    init(mutant: OrderMutant? = nil) { self.mutant = mutant }

    func has(_ mutant: OrderMutant) -> Bool { self.mutant == mutant }

    // MARK: Redis

    private mutating func expireHolds() {
        shelf.holds = shelf.holds.filter { $0.value.expiresAt > now && !$0.value.seats.isEmpty }
    }

    /// Exactly these seats, all or none. False when somebody has one; nil when Redis is lost.
    mutating func select(_ seats: Set<Seat>, by user: User) -> Bool? {
        guard shelf.epoch > 0 else { return nil }
        expireHolds()
        let own = shelf.holds[user]?.seats ?? []
        for seat in seats.subtracting(own) {
            let isHeld = shelf.holds.contains { $0.key != user && $0.value.seats.contains(seat) }
            if isHeld || shelf.claims[seat] != nil { return false }
        }
        if seats.isSubset(of: own) {
            shelf.holds[user]?.seats = seats
        } else {
            shelf.counter += 1
            let expiresAt = shelf.holds[user]?.expiresAt ?? now + Self.holdTime
            let fence = Fence(epoch: shelf.epoch, counter: shelf.counter)
            shelf.holds[user] = Hold(seats: seats, fence: fence, expiresAt: expiresAt)
        }
        return true
    }

    mutating func held(_ seats: [Seat], by user: User) -> Fence? {
        guard shelf.epoch > 0 else { return nil }
        expireHolds()
        guard let hold = shelf.holds[user], hold.seats.isSuperset(of: seats) else { return nil }
        return hold.fence
    }

    /// False when Redis lives another life than the one the word is from; nil when it is lost.
    mutating func markReserved(_ claim: ClaimID, order: Int, epoch: Int) -> Bool? {
        guard shelf.epoch > 0 else { return nil }
        guard shelf.epoch == epoch || has(.notPinned) else { return false }
        expireHolds()
        if shelf.freed.contains(claim), !has(.resurrection) { return true }
        let reservation = books.reservations[claim.reservation]
        for seat in reservation.seats {
            let known = shelf.claims[seat]
            if known?.claim != claim, known.map({ $0.order <= order }) ?? true || has(.noOrder) {
                shelf.claims[seat] = (claim, order)
            }
            for user in shelf.holds.keys { shelf.holds[user]?.seats.remove(seat) }
        }
        return true
    }

    /// As ``markReserved(_:order:epoch:)``.
    mutating func free(_ claim: ClaimID, epoch: Int) -> Bool? {
        guard shelf.epoch > 0 else { return nil }
        guard shelf.epoch == epoch || has(.freeNotPinned) else { return false }
        shelf.freed.insert(claim)
        for seat in books.reservations[claim.reservation].seats where shelf.claims[seat]?.claim == claim {
            shelf.claims[seat] = nil
        }
        return true
    }

    // MARK: Rebuild, in three steps

    mutating func raiseEpoch() -> Int {
        books.epoch += 1
        return books.epoch
    }

    mutating func beginLife(_ epoch: Int) {
        guard shelf.epoch < epoch, shelf.rebuilding <= epoch else { return }
        shelf = Shelf(epoch: 0, rebuilding: epoch)
    }

    func liveClaims() -> [Seat: ClaimID] {
        var claims: [Seat: ClaimID] = [:]
        for (id, reservation) in books.reservations.enumerated() where reservation.isLive {
            for seat in reservation.seats {
                claims[seat] = ClaimID(reservation: id, number: reservation.claimNumber)
            }
        }
        return claims
    }

    mutating func load(_ claims: [Seat: ClaimID], epoch: Int) {
        guard shelf.epoch < epoch, shelf.rebuilding <= epoch else { return }
        shelf = Shelf(epoch: epoch)
        shelf.claims = claims.mapValues { ($0, 0) }
    }

    // MARK: PostgreSQL: one transaction each

    enum Claimed: Equatable {
        case created(ReservationID), repeated(ReservationID), unavailable, stale
    }

    mutating func claim(_ seats: [Seat], by user: User, key: String, fence: Fence) -> Claimed {
        if let known = books.keys[key], !has(.keyForgotten) { return .repeated(known) }
        guard fence.epoch == books.epoch || has(.staleEpoch) else { return .stale }
        let live = liveClaims()
        guard has(.doubleClaim) || seats.allSatisfy({ live[$0] == nil }) else { return .unavailable }
        guard has(.staleFence) || seats.allSatisfy({ books.fences[$0].map { $0 < fence } ?? true }) else {
            return .unavailable
        }
        let id = books.reservations.count
        books.reservations.append(Reservation(user: user, seats: seats, expiresAt: now + Self.holdTime))
        for seat in seats {
            books.sales.append((seat, fence, books.epoch))
            books.fences[seat] = fence
        }
        books.keys[key] = id
        addRow(id, .reserve)
        note(id, .created)
        return .created(id)
    }

    mutating func startPayment(_ id: ReservationID) -> PaymentID? {
        guard books.reservations[id].status == .pending, books.reservations[id].expiresAt > now else { return nil }
        books.reservations[id].status = .paying
        books.payments.append(Payment(reservation: id))
        note(id, .paying)
        return books.payments.count - 1
    }

    /// True when the word changed something.
    mutating func settle(_ payment: PaymentID, isCaptured: Bool) -> Bool {
        let id = books.payments[payment].reservation
        let status = books.payments[payment].status
        guard isCaptured else {
            guard status == .started || has(.lateRefusal) else { return false }
            books.payments[payment].status = .declined
            let isPaying = books.reservations[id].status == .paying
            if isPaying || has(.lateRefusal) { books.reservations[id].status = .pending }
            note(id, .declined)
            return true
        }
        guard status == .started || status == .declined else { return false }
        switch books.reservations[id].status {
        case .paying where status == .started, .pending:
            books.payments[payment].status = .succeeded
            books.reservations[id].status = .paid
            note(id, .paid)
        case .expired, .cancelled:
            let live = liveClaims()
            if books.reservations[id].seats.allSatisfy({ live[$0] == nil }) || has(.paidWithoutSeats) {
                books.payments[payment].status = .succeeded
                books.reservations[id].status = .paid
                if !has(.paidWithoutSeats) {
                    books.reservations[id].isLive = true
                    books.reservations[id].claimNumber += 1
                    addRow(id, .reserve)
                }
                note(id, .paid)
            } else {
                refundDue(payment, unless: .lateMoneyKept)
            }
        case .paying, .paid, .refunded:
            refundDue(payment, unless: .secondMoneyKept)
        }
        return true
    }

    private mutating func refundDue(_ payment: PaymentID, unless mutant: OrderMutant) {
        books.payments[payment].status = has(mutant) ? .succeeded : .refundDue
        note(books.payments[payment].reservation, .refundDue)
    }

    mutating func refunded(_ payment: PaymentID) {
        guard books.payments[payment].status == .refundDue else { return }
        books.payments[payment].status = .refunded
        let id = books.payments[payment].reservation
        if [.expired, .cancelled].contains(books.reservations[id].status) { books.reservations[id].status = .refunded }
        note(id, .refunded)
    }

    mutating func cancel(_ id: ReservationID) -> Bool {
        let status = books.reservations[id].status
        guard status == .pending || (status == .paying && has(.cancelWhilePaying)) else { return false }
        end(id, .cancelled, .cancelled)
        return true
    }

    mutating func expireDue() -> [ReservationID] {
        let due = books.reservations.indices.filter { id in
            let status = books.reservations[id].status
            return books.reservations[id].expiresAt <= now
                && (status == .pending || (status == .paying && has(.sweepPaying)))
        }
        for id in due { end(id, .expired, .expired) }
        return due
    }

    private mutating func end(_ id: ReservationID, _ status: Status, _ change: Change) {
        books.reservations[id].status = status
        books.reservations[id].isLive = false
        addRow(id, .free)
        note(id, change)
    }

    private mutating func addRow(_ id: ReservationID, _ action: OutboxRow.Action) {
        let claim = ClaimID(reservation: id, number: books.reservations[id].claimNumber)
        books.outbox.append(OutboxRow(id: books.nextRow, claim: claim, action: action))
        books.nextRow += 1
    }

    private mutating func note(_ id: ReservationID, _ change: Change) {
        if !has(.logAfterCommit) { books.log.append((id, change)) }
    }

    /// Only with ``OrderMutant/logAfterCommit``, when the one who committed lives long enough.
    mutating func noteLate(_ id: ReservationID, _ change: Change) {
        if has(.logAfterCommit) { books.log.append((id, change)) }
    }
}
