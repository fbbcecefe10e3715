import HoldfastCore

// What a fan makes of the answers: the way from the queue to the ticket.

extension FanState {
    mutating func admitted(_ now: Moment) {
        guard self.standing != .admitted else { return }
        self.standing = .admitted
        // People look up from something else when their turn comes.
        if self.isOnline { self.ask(.enter, at: now + self.random.between(.milliseconds(200), self.thinking)) }
    }

    mutating func answered(_ request: FanRequest, _ answer: FanAnswer, _ now: Moment) {
        if let wait = answer.retryAfterSeconds, !answer.isDone, !self.isOver(answer) {
            return self.ask(
                request,
                at: now + .seconds(min(max(wait, 1), 10)) + self.random.between(.zero, .seconds(1))
            )
        }
        switch request {
        case .joinEvent:
            guard answer.isDone else { return self.ask(.joinEvent, at: now + self.think()) }
            self.arrived(now)
        case .joinQueue, .checkQueue: self.standing(answer, now)
        case .enter:
            guard answer.isDone else {
                self.standing = .outside
                if self.traits.kind == .onlooker { return self.plan(.end(.lookedOn), at: now) }
                return self.ask(.joinQueue, at: now + .seconds(1))
            }
            self.entered(now)
        case .look: self.ask(.look, at: now + self.think())
        case .select(let seats): self.selected(seats, answer, now)
        case .bestAvailable, .stand:
            if answer.isDone { self.decide(now) } else { self.refusedSeats(answer, now) }
        case .extend: self.decide(now)
        case .reserve: self.reserved(answer, now)
        case .pay(_, let method): self.paid(method, answer, now)
        case .cancel:
            self.hasCancelled = answer.isDone
            self.leave(now)
        case .leaveQueue: self.plan(.end(self.farewell), at: now)
        case .nonsense: self.arrived(now)
        }
    }

    /// Nobody knows whether it was done. Asking again is safe for everything a fan does: orders carry a key.
    mutating func unanswered(_ request: FanRequest, _ now: Moment) {
        guard request.isHTTP || self.isOnline else { return }
        if case .leaveQueue = request { return self.plan(.end(self.farewell), at: now) }
        self.ask(request, at: now + self.random.between(.milliseconds(500), .seconds(2)))
    }

    /// Refusals that no waiting mends, though they may say when to come back.
    private func isOver(_ answer: FanAnswer) -> Bool { answer.code == "PAYMENT_DECLINED" }

    private var farewell: FanOutcome {
        if self.hasCancelled { return .cancelled }
        if self.isPaid { return .bought }
        if self.isUnsettled { return .unsettled }
        if self.traits.kind == .grabber { return .botDone }
        return self.looks > Self.mostLooks ? .soldOut : .gaveUp
    }

    // MARK: The queue

    private static let mostLooks = 6
    private static let mostConflicts = 12
    private static let mostClosedDoors = 60

    /// Back in the room of the event: goes on where the connection was lost.
    private mutating func arrived(_ now: Moment) {
        if self.traits.kind == .vandal, self.mischief < Nonsense.all.count {
            self.mischief += 1
            return self.ask(.nonsense(self.mischief - 1), at: now + self.random.between(.milliseconds(50), .seconds(1)))
        }
        // It is the first tab that queues; this one is told of its person's place and pass all the same.
        if self.traits.kind == .onlooker { return self.plan(.end(.lookedOn), at: now + self.thinking * 60) }
        if let order = self.order, !self.isPaid, !self.hasCancelled, !self.isUnsettled {
            return self.ask(.pay(order, method: "sandbox"), at: now + self.think())
        }
        if self.order != nil { return self.ask(.leaveQueue, at: now + self.think()) }
        self.ask(.joinQueue, at: now)
    }

    private mutating func standing(_ answer: FanAnswer, _ now: Moment) {
        guard answer.isDone else { return self.ask(.joinQueue, at: now + self.think()) }
        switch answer.status {
        case "admitted":
            self.standing = .admitted
            self.ask(.enter, at: now + self.random.between(.milliseconds(100), self.thinking))
        case "waiting", "lobby":
            // The word that it is their turn may have overtaken this answer.
            guard self.standing != .admitted else { return }
            self.standing = .waiting
            guard self.traits.kind == .rejoiner, self.mischief < 40 else {
                // Who hears nothing for long asks: another tab may have left the queue for both.
                return self.ask(.checkQueue, at: now + self.random.between(.seconds(30), .seconds(60)))
            }
            self.mischief += 1
            let next: FanRequest = self.random.chance(0.3) ? .checkQueue : .joinQueue
            self.ask(next, at: now + self.random.between(.milliseconds(50), .seconds(1)))
        default: self.plan(.end(.gaveUp), at: now)
        }
    }

    // MARK: The seats

    private mutating func entered(_ now: Moment) {
        if self.traits.kind == .onlooker { return self.plan(.end(.lookedOn), at: now + self.thinking * 15) }
        if self.holds.isEmpty { self.ask(.look, at: now) } else { self.decide(now) }
    }

    mutating func saw(_ statuses: [UInt8], _ now: Moment) {
        self.looks += 1
        let wants = self.traits.kind == .grabber ? 4 : self.traits.wants
        if self.traits.stands, self.conflicts <= 2, let area = self.venue.areas.indices.last {
            return self.ask(.stand(area: area, count: wants), at: now + self.think())
        }
        if self.conflicts > Self.mostConflicts || self.traits.asksForBest {
            return self.ask(.bestAvailable(wants), at: now + self.think())
        }
        if let seats = self.venue.choose(wants, among: statuses, &self.random) {
            self.ask(.select(seats), at: now + self.think())
        } else if self.looks > Self.mostLooks {
            self.ask(.leaveQueue, at: now)
        } else {
            self.ask(.look, at: now + self.random.between(.seconds(1), .seconds(5)))
        }
    }

    private mutating func selected(_ seats: [Int32], _ answer: FanAnswer, _ now: Moment) {
        guard answer.isDone else { return self.refusedSeats(answer, now) }
        if self.traits.kind == .grabber {
            self.mischief += 1
            if seats.isEmpty {
                self.ask(self.mischief > 12 ? .leaveQueue : .look, at: now)
            } else {
                self.ask(.select([]), at: now + self.random.between(.milliseconds(20), .milliseconds(500)))
            }
            return
        }
        if seats.isEmpty { self.ask(.look, at: now + self.think()) } else { self.decide(now) }
    }

    private mutating func refusedSeats(_ answer: FanAnswer, _ now: Moment) {
        self.conflicts += 1
        switch answer.code {
        case "NOT_ADMITTED":
            self.standing = .outside
            self.ask(.joinQueue, at: now + self.think())
        case "EVENT_NOT_OPEN":
            // Paused, so people wait; closed for ever, so they go in the end.
            self.closedDoors += 1
            if self.closedDoors > Self.mostClosedDoors { return self.ask(.leaveQueue, at: now) }
            self.ask(.look, at: now + self.random.between(.seconds(2), .seconds(5)))
        case "LIMIT_EXCEEDED":
            self.looks += 1
            self.ask(self.looks > Self.mostLooks ? .leaveQueue : .look, at: now + self.think())
        case "SEAT_UNAVAILABLE" where (answer.unavailable ?? []).isEmpty:
            // There are none left; only what others give back can help now.
            self.looks += Self.mostLooks
            self.ask(self.looks > 3 * Self.mostConflicts ? .leaveQueue : .look, at: now + self.think())
        default:
            // Annoyed, so quicker than the first time.
            self.ask(self.looks > 3 * Self.mostConflicts ? .leaveQueue : .look, at: now + self.think() / 2)
        }
    }

    /// With seats in the basket.
    private mutating func decide(_ now: Moment) {
        if self.traits.abandons { return self.plan(.end(.abandoned), at: now + self.think()) }
        if self.traits.extends, !self.hasExtended {
            self.hasExtended = true
            return self.ask(.extend, at: now + self.think())
        }
        if self.traits.changesMind, !self.hasChangedMind {
            self.hasChangedMind = true
            return self.ask(.look, at: now + self.think())
        }
        guard !self.holds.isEmpty else { return self.ask(.look, at: now) }
        self.ask(.reserve(self.holds, key: self.random.next()), at: now + self.think())
    }

    mutating func holdEnded(_ now: Moment) {
        self.holds = []
        // An order under way will hear of it by its own answer.
        guard self.order == nil, self.pending == nil, self.isOnline, self.standing == .admitted,
            self.traits.kind != .onlooker
        else { return }
        self.ask(.look, at: now + self.think())
    }

    // MARK: The order

    private mutating func reserved(_ answer: FanAnswer, _ now: Moment) {
        guard answer.httpStatus == 201, let id = answer.reservationId else {
            self.conflicts += 1
            self.holds = []
            return self.ask(self.conflicts > Self.mostConflicts ? .leaveQueue : .look, at: now + self.think())
        }
        self.order = id
        self.holds = []
        // Half of those who give an order back do so before they pay.
        if self.traits.cancels, self.random.chance(0.5) { return self.ask(.cancel(id), at: now + self.think()) }
        let method: String =
            switch self.traits.payment {
            case .plain: "sandbox"
            case .slow: "sandbox-slow"
            case .declinedFirst: "sandbox-decline"
            case .neverAnswered: "sandbox-never"
            }
        self.ask(.pay(id, method: method), at: now + self.think())
    }

    private mutating func paid(_ method: String, _ answer: FanAnswer, _ now: Moment) {
        guard let order = self.order else { return }
        switch (answer.httpStatus, answer.code) {
        case (200, _) where answer.success == true:
            self.isPaid = true
            if self.traits.cancels { return self.ask(.cancel(order), at: now + self.think()) }
            self.leave(now)
        case (202, _):
            // The provider is silent; the seats stay with the order until it speaks.
            self.isUnsettled = true
            self.leave(now)
        case (402, _): self.ask(.pay(order, method: "sandbox"), at: now + self.think())
        case (409, "RESERVATION_STATE"):
            // Paid by an earlier try whose answer was lost, or over; the checks at the end find out which.
            self.isPaid = answer.reservation?.status == "paid"
            self.leave(now)
        default:
            self.order = nil
            self.ask(.leaveQueue, at: now)
        }
    }

    private mutating func leave(_ now: Moment) {
        if self.traits.vanishes { return self.plan(.end(self.farewell), at: now + self.think()) }
        self.ask(.leaveQueue, at: now + self.think())
    }
}
