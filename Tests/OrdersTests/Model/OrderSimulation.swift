import TestSupport

/// One history: people, instances that die, a Redis that is wiped and a bank that answers late, twice, in another order
/// or never; all in steps that a seed mixes.
struct OrderSimulation {
    static let users = 3
    static let seats = 3
    static let steps = 90

    typealias ReservationID = OrderModel.ReservationID
    typealias PaymentID = OrderModel.PaymentID

    /// Something an instance is in the middle of. It may stop here for any time, or for ever.
    private enum Task {
        case reserveHeld(user: Int, seats: [Int], key: String, fence: OrderModel.Fence)
        /// Committed; who asked has no answer yet.
        case committed(ReservationID, OrderModel.Change)
        case tell(ReservationID)
        case word(OrderModel.OutboxRow, isLive: Bool, epoch: Int, thenDelete: Bool)
        case charge(PaymentID)
        case settle(PaymentID, isCaptured: Bool)
        case refund(PaymentID)
        case refunded(PaymentID)
        case rebuildRaised(Int)
        case rebuildBegun(Int)
        case rebuildRead(Int, [Int: OrderModel.ClaimID])
        case rebuildReadFirst([Int: OrderModel.ClaimID])

        var isRebuild: Bool {
            switch self {
            case .rebuildRaised, .rebuildBegun, .rebuildRead, .rebuildReadFirst: true
            default: false
            }
        }
    }

    private(set) var model: OrderModel
    private var random: SeededGenerator
    private var tasks: [Task] = []
    /// Messages of the bank on their way; each may arrive several times.
    private var messages: [(id: Int, payment: PaymentID, isCaptured: Bool)] = []
    private var nextMessage = 0
    /// What people were told: a key's answer.
    private var answers: [String: ReservationID] = [:]
    /// What happened, for whoever looks for the cause. Writing it takes longer than all the rest.
    private(set) var trace: [String] = []
    private let traces: Bool

    init(seed: UInt64, mutant: OrderMutant? = nil, traces: Bool = false) {
        self.traces = traces
        random = SeededGenerator(seed: seed)
        model = OrderModel(mutant: mutant)
    }

    /// The first breach, with what happened before it; nil for a good history.
    mutating func run() -> String? {
        for _ in 0..<Self.steps {
            step()
            if let breach = model.breach() ?? breachInAnswers() { return breach }
        }
        return rest()
    }

    private func breachInAnswers() -> String? {
        for (key, id) in answers where model.books.keys[key] != id {
            return "the answer to \(key) cannot be found again"
        }
        return nil
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    private mutating func step() {
        let dice = Int.random(in: 0..<100, using: &random)
        switch dice {
        case 0..<45 where !tasks.isEmpty:
            // Mostly what began last: so others stop for long, and go on when the world is another.
            let isLast = chance(60)
            let index = isLast ? tasks.count - 1 : Int.random(in: tasks.indices, using: &random)
            advance(tasks.remove(at: index))
        case 45..<50 where !tasks.isEmpty:
            // An instance dies in the middle.
            let lost = tasks.remove(at: Int.random(in: tasks.indices, using: &random))
            if traces { trace.append("dies: \(lost)") }
        case 50..<62: select()
        case 62..<72: reserve()
        case 72..<80: pay()
        case 80..<83: cancel()
        case 83..<87: sweep()
        case 87..<90: drain()
        case 90..<92: followUp()
        case 92..<95: deliver()
        case 95:
            model.now += Int.random(in: 1...12, using: &random)
            if traces { trace.append("now \(model.now)") }
        case 96, 97: wipe()
        case 98: rebuild()
        default: bankDecides()
        }
    }

    // MARK: What people do

    private mutating func select() {
        let user = Int.random(in: 0..<Self.users, using: &random)
        let seats = Set((0..<Self.seats).filter { _ in Bool.random(using: &random) })
        let isGranted = model.select(seats, by: user)
        // The next visitor begins the rebuild.
        if isGranted == nil { rebuild() }
        if traces { trace.append("\(user) selects \(seats.sorted()): \(String(describing: isGranted))") }
    }

    private mutating func reserve() {
        let user = Int.random(in: 0..<Self.users, using: &random)
        // Sometimes the same request again: a double click, or an answer that was lost.
        let key = "\(user)-\(Int.random(in: 0..<6, using: &random))"
        if let known = model.books.keys[key], !model.has(.keyForgotten) {
            answers[key] = known
            return
        }
        guard let seats = model.shelf.holds[user]?.seats.sorted(), !seats.isEmpty,
            let fence = model.held(seats, by: user)
        else { return }
        if traces { trace.append("\(user) reserves \(seats) by \(key), \(fence)") }
        tasks.append(.reserveHeld(user: user, seats: seats, key: key, fence: fence))
    }

    private mutating func pay() {
        guard let id = model.books.reservations.indices.randomElement(using: &random) else { return }
        guard let payment = model.startPayment(id) else { return }
        if traces { trace.append("order \(id) is paid by \(payment)") }
        model.noteLate(id, .paying)
        tasks.append(.charge(payment))
    }

    private mutating func cancel() {
        guard let id = model.books.reservations.indices.randomElement(using: &random), model.cancel(id) else { return }
        if traces { trace.append("order \(id) is cancelled") }
        tasks.append(.committed(id, .cancelled))
    }

    // MARK: What the service does by itself

    private mutating func sweep() {
        for id in model.expireDue() {
            if traces { trace.append("order \(id) ends") }
            tasks.append(.committed(id, .expired))
        }
    }

    private mutating func drain() {
        guard let row = model.books.outbox.first else { return }
        tasks.append(read(row))
    }

    private func read(_ row: OrderModel.OutboxRow) -> Task {
        let reservation = model.books.reservations[row.claim.reservation]
        let isLive = reservation.isLive && reservation.claimNumber == row.claim.number
        return .word(row, isLive: isLive, epoch: model.books.epoch, thenDelete: true)
    }

    private mutating func followUp() {
        for (payment, row) in model.books.payments.enumerated() {
            switch row.status {
            case .started:
                switch model.bank.attempts[payment] {
                case .captured: tasks.append(.settle(payment, isCaptured: true))
                case .declined: tasks.append(.settle(payment, isCaptured: false))
                case .unknown: break
                // It never arrived: asking about it is the bank's word that there is nothing to come.
                case nil: model.bank.attempts[payment] = .unknown
                }
            case .refundDue: tasks.append(.refund(payment))
            case .succeeded, .declined, .refunded: break
            }
        }
    }

    private mutating func wipe() {
        if traces { trace.append("Redis is wiped") }
        model.shelf = OrderModel.Shelf(epoch: 0)
    }

    /// One at a time, by PostgreSQL's lock.
    private mutating func rebuild() {
        guard !tasks.contains(where: \.isRebuild) else { return }
        if traces { trace.append("rebuild after \(model.books.epoch)") }
        tasks.append(
            model.has(.rebuildReadsFirst)
                ? .rebuildReadFirst(model.liveClaims()) : .rebuildRaised(model.raiseEpoch())
        )
    }

    // MARK: The bank

    private mutating func bankDecides() {
        guard let payment = model.bank.attempts.keys.sorted().randomElement(using: &random) else { return }
        // A refusal may still turn into money, as when somebody tries another card on the bank's page. Money stays.
        guard model.bank.attempts[payment] != .captured else { return }
        decide(payment, isCaptured: chance(60))
    }

    private mutating func decide(_ payment: PaymentID, isCaptured: Bool) {
        guard model.bank.attempts[payment] != .captured else { return }
        model.bank.attempts[payment] = isCaptured ? .captured : .declined
        messages.append((nextMessage, payment, isCaptured))
        nextMessage += 1
        if traces { trace.append("the bank: \(payment) \(isCaptured ? "captured" : "declined")") }
    }

    /// Any message, also one that came before.
    private mutating func deliver() {
        guard let message = messages.randomElement(using: &random) else { return }
        apply(message)
    }

    private mutating func apply(_ message: (id: Int, payment: PaymentID, isCaptured: Bool)) {
        guard model.books.webhooks.insert(message.id).inserted else { return }
        settle(message.payment, message.isCaptured)
    }

    private mutating func settle(_ payment: PaymentID, _ isCaptured: Bool) {
        let id = model.books.payments[payment].reservation
        guard model.settle(payment, isCaptured: isCaptured) else { return }
        let state = model.books.reservations[id].status
        if traces { trace.append("\(payment) is settled, \(isCaptured): order \(id) is \(state)") }
        let status = model.books.payments[payment].status
        tasks.append(.committed(id, status == .succeeded ? .paid : status == .declined ? .declined : .refundDue))
    }

    // MARK: One more step of something under way

    private mutating func advance(_ task: Task) {
        switch task {
        case .reserveHeld(let user, let seats, let key, let fence):
            switch model.claim(seats, by: user, key: key, fence: fence) {
            case .created(let id):
                if traces { trace.append("order \(id): \(seats) by \(key)") }
                tasks.append(.committed(id, .created))
                // The answer may be lost; then the key tells.
                if chance(80) { answers[key] = answers[key] ?? id }
            case .repeated(let id): answers[key] = answers[key] ?? id
            case .unavailable, .stale: break
            }
        case .committed(let id, let change):
            model.noteLate(id, change)
            tasks.append(.tell(id))
        case .tell(let id):
            if model.has(.noOutbox) { model.books.outbox.removeAll { $0.claim.reservation == id } }
            for row in model.books.outbox where row.claim.reservation == id { tasks.append(read(row)) }
            if model.has(.noOutbox) { model.books.outbox = [] }
        case .word(let row, let isLive, let epoch, let thenDelete):
            let isDone =
                switch row.action {
                case .reserve where isLive: model.markReserved(row.claim, order: row.id, epoch: epoch)
                case .reserve: true
                case .free: model.free(row.claim, epoch: epoch)
                }
            if traces { trace.append("told \(row), live \(isLive), epoch \(epoch): \(String(describing: isDone))") }
            // Dying here leaves a row that is carried out once more.
            if isDone == true, thenDelete, chance(90) { model.books.outbox.removeAll { $0.id == row.id } }
        case .charge(let payment):
            // It may never arrive, or the answer get lost.
            if chance(20) { return }
            model.bank.attempts[payment] = model.bank.attempts[payment] ?? .unknown
            if chance(25) { return }
            decide(payment, isCaptured: chance(65))
            if chance(70) { tasks.append(.settle(payment, isCaptured: model.bank.attempts[payment] == .captured)) }
        case .settle(let payment, let isCaptured): settle(payment, isCaptured)
        case .refund(let payment):
            guard model.books.payments[payment].status == .refundDue else { return }
            // The attempt's id is the bank's key, so a second request does nothing.
            let before = model.bank.refunds[payment] ?? 0
            model.bank.refunds[payment] = model.has(.doubleRefund) ? before + 1 : 1
            if traces { trace.append("the bank refunds \(payment)") }
            tasks.append(.refunded(payment))
        case .refunded(let payment):
            let wasDue = model.books.payments[payment].status == .refundDue
            model.refunded(payment)
            if wasDue { model.noteLate(model.books.payments[payment].reservation, .refunded) }
        case .rebuildRaised(let epoch):
            model.beginLife(epoch)
            tasks.append(.rebuildBegun(epoch))
        case .rebuildBegun(let epoch): tasks.append(.rebuildRead(epoch, model.liveClaims()))
        case .rebuildReadFirst(let claims): tasks.append(.rebuildRead(model.raiseEpoch(), claims))
        case .rebuildRead(let epoch, let claims): model.load(claims, epoch: epoch)
        }
    }

    // MARK: The end

    /// Nobody acts any more; everything that was begun or is due is finished, and every message arrives.
    private mutating func rest() -> String? {
        for _ in 0..<8 {
            finish()
            for message in messages { apply(message) }
            finish()
            model.now += 2 * OrderModel.holdTime
            sweep()
            followUp()
            finish()
            if model.shelf.epoch < model.books.epoch { rebuild() }
            finish()
            for row in model.books.outbox { advance(read(row)) }
            if let breach = model.breach() { return breach }
        }
        // Each message was applied by now; what the bank says last is what counts.
        return model.breachAtRest() ?? breachInAnswers()
    }

    private mutating func finish() {
        while let task = tasks.popLast() { advance(task) }
    }
}
