package import HoldfastCore

/// Every order that was answered, and in which state it must be found in the end.
package struct OrderBook: Sendable {
    package enum State: Equatable, Sendable {
        case pending(until: Moment)
        /// Asked to pay or to give back, and never told what became of it.
        case unknown
        /// The provider has not said what became of the payment.
        case paying
        case paid
        case cancelled
    }

    package struct Order: Sendable {
        package let id: ReservationID
        package let user: Int
        package let seats: [Int32]
        package var state: State
        package let answeredAt: Moment
    }

    /// What the service says of an order in the end.
    package struct Found: Sendable {
        package let status: String
        package let seats: [Int32]

        package init(status: String, seats: [Int32]) {
            self.status = status
            self.seats = seats
        }
    }

    package private(set) var orders: [ReservationID: Order] = [:]

    package init() {}

    package mutating func ordered(_ id: ReservationID, _ user: Int, _ seats: [Int32], until: Moment, at: Moment) {
        if self.orders[id] == nil {
            self.orders[id] = Order(id: id, user: user, seats: seats, state: .pending(until: until), answeredAt: at)
        }
    }

    package mutating func sentChange(_ id: ReservationID) {
        if let state = self.orders[id]?.state, case .pending = state { self.orders[id]?.state = .unknown }
    }

    package mutating func paying(_ id: ReservationID) { self.orders[id]?.state = .paying }
    package mutating func paid(_ id: ReservationID) { self.orders[id]?.state = .paid }
    /// Asks to give an order back, which only an unpaid one can be.
    ///
    /// - Returns: whether it may be given back: its seats may be somebody else's from now on.
    package mutating func sentCancel(_ id: ReservationID) -> Bool {
        guard let order = self.orders[id], order.state != .paid, order.state != .paying else { return false }
        self.orders[id]?.state = .unknown
        return true
    }
    package mutating func cancelled(_ id: ReservationID) { self.orders[id]?.state = .cancelled }
    /// Declined: as if it had not been asked.
    package mutating func declined(_ id: ReservationID, until: Moment) {
        self.orders[id]?.state = .pending(until: until)
    }

    package var paidCount: Int { self.orders.values.count { $0.state == .paid } }
    package var paidSeats: Int { self.orders.values.reduce(0) { $0 + ($1.state == .paid ? $1.seats.count : 0) } }

    /// Compares an order with what was found; `nil` for an order that the service does not know.
    package func judge(_ order: Order, _ found: Found?, at: Moment) -> Breach? {
        guard let found else {
            let rule: Breach.Rule = order.state == .paid ? .paymentLost : .reservationLost
            return Breach(rule, fans: [order.user], at: at, "\(order.id), answered at \(order.answeredAt.text)")
        }
        let words = "\(order.id) is \(found.status)"
        if Set(found.seats) != Set(order.seats) {
            return Breach(.wrongState, fans: [order.user], at: at, words + " with other seats than were ordered")
        }
        switch order.state {
        case .paid where found.status != "paid":
            return Breach(.paymentLost, fans: [order.user], at: at, words + "; its payment was answered success")
        case .paying where found.status != "paying" && found.status != "paid":
            return Breach(.wrongState, fans: [order.user], at: at, words + "; its payment is not answered yet")
        case .cancelled where found.status != "cancelled" && found.status != "refunded":
            return Breach(.wrongState, fans: [order.user], at: at, words + "; giving it back was answered success")
        case .pending(let until) where until + .seconds(10) < at && found.status != "expired":
            return Breach(.wrongState, fans: [order.user], at: at, words + "; it was to expire at \(until.text)")
        case .pending(let until) where until > at && found.status != "pending":
            return Breach(.wrongState, fans: [order.user], at: at, words + "; it was left unpaid")
        case .paid, .paying, .cancelled, .pending, .unknown: return nil
        }
    }
}
