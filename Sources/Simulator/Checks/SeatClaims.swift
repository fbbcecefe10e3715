package import HoldfastCore

/// Who certainly has which seat, and until when, as far as the answers say: the proof that a seat is had by one.
///
/// An answer is written after the grant and read later still, so a claim is certain from the moment its answer was read.
/// It ends with its time, or as soon as a command is *sent* that may end it. Between the two nothing is left to doubt,
/// and two such spans of different people that overlap are a breach, whatever clocks and networks do.
///
/// - Bounds: one entry per seat and person who has or had it lately, one fence per grant.
package struct SeatClaims: Sendable {
    enum Kind: Equatable { case hold, order }

    struct Claim {
        let user: Int
        let kind: Kind
        var since: Moment
        var until: Moment
        /// The number of the seat message that the grant had been told by; 0 for orders.
        var seq: Int64
    }

    private struct Hold {
        var seats: [Int32]
        var fence: Fence
    }

    private struct Grant {
        let user: Int
        let at: Moment
        let fence: Fence
    }

    /// Times of two clocks compared: how far they may be apart.
    static let tolerance = Duration.milliseconds(250)
    /// How long seats that were just ordered may still look held elsewhere; the order itself is certain at once.
    static let settling = Duration.seconds(3)

    private let venue: Venue
    private var claims: [Int32: [Claim]] = [:]
    private var holds: [Int: Hold] = [:]
    private var lastGrant: [Int32: Grant] = [:]
    private var ownerOfFence: [Fence: Int] = [:]
    /// The last command of each person that may have ended claims; an answer to an earlier one proves nothing.
    private var lastDrop: [Int: Moment] = [:]
    /// The number of the last seat message that each person's answers knew of.
    private var latestAnswer: [Int: Int64] = [:]
    package private(set) var breaches: [Breach] = []

    package init(_ venue: Venue) { self.venue = venue }

    package mutating func takeBreaches() -> [Breach] {
        defer { self.breaches = [] }
        return self.breaches
    }

    func hasHeld(_ user: Int) -> Bool { self.holds[user] != nil }

    // MARK: Commands that were sent

    /// A person asks for exactly these seats: all others may be free from now on.
    package mutating func sentSelection(_ user: Int, keeping seats: [Int32], at: Moment) {
        self.drop(user, self.holds[user]?.seats.filter { !seats.contains($0) } ?? [], at)
    }

    /// A person orders seats: the hold becomes an order at a moment only the service knows.
    package mutating func sentOrder(_ user: Int, _ seats: [Int32], at: Moment) { self.drop(user, seats, at) }

    /// A person gives an order back.
    package mutating func sentCancel(_ user: Int, _ seats: [Int32], at: Moment) {
        for seat in seats { self.end(seat, user, .order, at) }
    }

    private mutating func drop(_ user: Int, _ seats: [Int32], _ at: Moment) {
        self.lastDrop[user] = at
        for seat in seats { self.end(seat, user, .hold, at) }
    }

    private mutating func end(_ seat: Int32, _ user: Int, _ kind: Kind, _ at: Moment) {
        guard var list = self.claims[seat] else { return }
        for index in list.indices where list[index].user == user && list[index].kind == kind {
            list[index].until = min(list[index].until, at)
        }
        self.claims[seat] = list
    }

    // MARK: Answers that were read

    /// A person's whole selection, as any answer about seats tells it.
    ///
    /// - Returns: whether it is another grant than the one that was known.
    package mutating func selection(
        _ user: Int,
        _ seats: [Int32],
        fence: Fence?,
        until: Moment,
        seq: Int64,
        sentAt: Moment,
        readAt: Moment
    ) -> Bool {
        // The requests of two tabs may be done in another order than they were sent in. The number of the last message
        // tells: what was answered before a later one is not certain any more.
        let latest = self.latestAnswer[user] ?? 0
        self.latestAnswer[user] = max(latest, seq)
        if seq < latest { return false }
        // What another tab has asked for since may already be undone; the answer to that one will tell.
        if let drop = self.lastDrop[user], drop > sentAt {
            if seq > latest, let hold = self.holds[user] { self.forget(user, hold, sentAt) }
            return false
        }
        let before = self.holds[user]
        guard let fence, !seats.isEmpty else {
            self.holds[user] = nil
            for seat in before?.seats ?? [] { self.end(seat, user, .hold, sentAt) }
            return false
        }
        if fence != before?.fence {
            self.checkFence(fence, user, seats.filter { before?.seats.contains($0) != true }, sentAt, readAt)
        }
        for seat in before?.seats ?? [] where !seats.contains(seat) { self.end(seat, user, .hold, sentAt) }
        self.holds[user] = Hold(seats: seats, fence: fence)
        for seat in seats {
            self.add(Claim(user: user, kind: .hold, since: readAt, until: until, seq: seq), seat, readAt)
        }
        return fence != before?.fence
    }

    package mutating func ordered(_ user: Int, _ seats: [Int32], until: Moment, readAt: Moment) {
        self.holds[user]?.seats.removeAll { seats.contains($0) }
        for seat in seats {
            self.add(Claim(user: user, kind: .order, since: readAt, until: until, seq: 0), seat, readAt)
        }
    }

    /// Nothing but giving it back ends a paid order.
    package mutating func paid(_ user: Int, _ seats: [Int32], at: Moment) {
        for seat in seats {
            self.end(seat, user, .order, at)
            self.add(Claim(user: user, kind: .order, since: at, until: .never, seq: 0), seat, at)
        }
    }

    /// The person was told that their hold is over.
    package mutating func holdExpired(_ user: Int, at: Moment) {
        for seat in self.holds[user]?.seats ?? [] { self.end(seat, user, .hold, at) }
    }

    /// A new life of the seat state: holds of the one before are over, orders are not.
    package mutating func lifeBegan(with fence: Fence, at: Moment) {
        for (user, hold) in self.holds where hold.fence.epoch < fence.epoch { self.forget(user, hold, at) }
    }

    private mutating func forget(_ user: Int, _ hold: Hold, _ at: Moment) {
        for seat in hold.seats { self.end(seat, user, .hold, at) }
        self.holds[user] = nil
    }

    // MARK: Checks

    private mutating func checkFence(_ fence: Fence, _ user: Int, _ new: [Int32], _ sentAt: Moment, _ readAt: Moment) {
        if let owner = self.ownerOfFence.updateValue(user, forKey: fence), owner != user {
            self.breaches.append(
                Breach(.fenceShared, fans: [owner, user], at: readAt, "both were granted seats under fence \(fence)")
            )
        }
        for seat in new {
            if let last = self.lastGrant[seat], last.user != user, last.at < sentAt, last.fence >= fence {
                let words =
                    "\(self.venue.name(seat)): fence \(fence), asked for at \(sentAt.text), is not above "
                    + "\(last.fence), answered at \(last.at.text)"
                self.breaches.append(Breach(.fenceNotRising, fans: [last.user, user], at: readAt, words))
            }
            if self.lastGrant[seat].map({ $0.fence < fence }) ?? true {
                self.lastGrant[seat] = Grant(user: user, at: readAt, fence: fence)
            }
        }
    }

    private mutating func add(_ claim: Claim, _ seat: Int32, _ now: Moment) {
        var list = self.claims[seat] ?? []
        var claim = claim
        if let own = list.first(where: { $0.user == claim.user && $0.kind == claim.kind && $0.until > now }) {
            claim.since = min(own.since, claim.since)
        }
        list.removeAll { $0.until + .seconds(30) < now || ($0.user == claim.user && $0.kind == claim.kind) }
        // One that ended before its answer was read proves nothing about now.
        if claim.until > now + Self.tolerance {
            for other in list where other.user != claim.user && other.until > now + Self.tolerance {
                if let rule = self.rule(claim, other, now) {
                    let words =
                        "\(self.venue.name(seat)): \(other.kind) of the first from \(other.since.text) until "
                        + "\(other.until.text), \(claim.kind) of the second from \(claim.since.text) until "
                        + claim.until.text
                    self.breaches.append(Breach(rule, fans: [other.user, claim.user], at: now, words))
                }
            }
        }
        list.append(claim)
        self.claims[seat] = list
    }

    private func rule(_ new: Claim, _ old: Claim, _ now: Moment) -> Breach.Rule? {
        switch (old.kind, new.kind) {
        case (.hold, .hold): .seatGrantedTwice
        case (.order, .order): .seatSoldTwice
        // An order is decided in PostgreSQL and told to the seat map a moment later.
        case (.order, .hold), (.hold, .order): now - old.since > Self.settling ? .soldSeatGranted : nil
        }
    }

    /// A seat became free by a message with this number, which everybody was sent.
    package mutating func released(_ seat: Int32, seq: Int64, at: Moment) {
        for claim in self.claims[seat] ?? []
        where claim.kind == .hold && claim.seq > 0 && claim.seq < seq && claim.since < at
            && claim.until > at + Self.tolerance
        {
            let words = "\(self.venue.name(seat)): released by message \(seq), held until \(claim.until.text)"
            self.breaches.append(Breach(.holdEndedEarly, fans: [claim.user], at: at, words))
        }
    }

    /// What a new connection must find again: seats held since before it and for a while after.
    package func mustFind(_ user: Int, connectingSince: Moment, now: Moment) -> (seats: [Int32], fence: Fence)? {
        guard let hold = self.holds[user] else { return nil }
        let seats = hold.seats.filter { seat in
            (self.claims[seat] ?? []).contains {
                $0.user == user && $0.kind == .hold && $0.since <= connectingSince && $0.until > now + Self.tolerance
            }
        }
        return seats.isEmpty ? nil : (seats, hold.fence)
    }
}
