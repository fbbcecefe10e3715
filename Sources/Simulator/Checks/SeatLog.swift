/// All seat messages of the event in the order of their numbers, whoever heard them, and what they make of each seat.
///
/// - Bounds: ``maxWaiting`` messages wait for one before them; past it the log begins anew behind the hole, which is
///   counted.
package struct SeatLog: Sendable {
    package enum Kind: String, Sendable { case locked, released, reserved }

    private struct Message {
        let kind: Kind
        let seats: [Int32]
    }

    static let maxWaiting = 65_536

    private let venue: Venue
    /// One character a seat as in the compact map; `?` until a message tells.
    private var states: [UInt8]
    private var waiting: [Int64: Message] = [:]
    /// The number up to which nothing is missing; nil until the first snapshot.
    package private(set) var last: Int64?
    package private(set) var messages = 0
    /// How often the log could not be read without a hole.
    package private(set) var resets = 0
    private(set) var breaches: [Breach] = []
    private var releases: [(seat: Int32, seq: Int64)] = []

    package init(_ venue: Venue) {
        self.venue = venue
        self.states = Array(repeating: UInt8(ascii: "?"), count: venue.seatIDs.count)
    }

    package mutating func takeBreaches() -> [Breach] {
        defer { self.breaches = [] }
        return self.breaches
    }

    /// Seats that became free since the last call, with the message that said so.
    mutating func takeReleases() -> [(seat: Int32, seq: Int64)] {
        defer { self.releases = [] }
        return self.releases
    }

    /// The map as it was after message `seq`; standing places are not on it.
    package mutating func start(_ statuses: [UInt8], seq: Int64) {
        guard statuses.count == self.venue.numbered else { return }
        self.states.replaceSubrange(..<statuses.count, with: statuses)
        self.last = seq
        self.waiting = self.waiting.filter { $0.key > seq }
    }

    /// The service no longer knows the messages before `seq`.
    package mutating func reset(seq: Int64) {
        guard let last = self.last, last < seq else { return }
        self.resets += 1
        self.states = Array(repeating: UInt8(ascii: "?"), count: self.states.count)
        self.last = seq
        self.waiting = self.waiting.filter { $0.key > seq }
    }

    package mutating func receive(_ kind: Kind, _ seats: [Int32], seq: Int64, at: Moment) {
        guard let last = self.last, seq > last else { return }
        self.waiting[seq] = Message(kind: kind, seats: seats)
        while let next = self.last.map({ $0 + 1 }), let message = self.waiting.removeValue(forKey: next) {
            self.last = next
            self.messages += 1
            for seat in message.seats { self.apply(message.kind, seat, next, at) }
        }
        if self.waiting.count > Self.maxWaiting, let first = self.waiting.keys.min() { self.reset(seq: first - 1) }
    }

    private mutating func apply(_ kind: Kind, _ seat: Int32, _ seq: Int64, _ at: Moment) {
        guard self.states.indices.contains(Int(seat)) else { return }
        let before = self.states[Int(seat)]
        let (free, held, sold) = (UInt8(ascii: "a"), UInt8(ascii: "l"), UInt8(ascii: "r"))
        switch (kind, before) {
        case (.locked, held): self.note(.seatGrantedTwice, seat, "locked while it was locked", seq, at)
        case (.locked, sold): self.note(.soldSeatGranted, seat, "locked while it was reserved", seq, at)
        case (.released, free): self.note(.holdEndedTwice, seat, "released while it was free", seq, at)
        case (.reserved, sold): self.note(.seatSoldTwice, seat, "reserved while it was reserved", seq, at)
        default: break
        }
        switch kind {
        case .locked: self.states[Int(seat)] = held
        case .released:
            self.states[Int(seat)] = free
            if before == held { self.releases.append((seat, seq)) }
        case .reserved: self.states[Int(seat)] = sold
        }
    }

    private mutating func note(_ rule: Breach.Rule, _ seat: Int32, _ words: String, _ seq: Int64, _ at: Moment) {
        self.breaches.append(Breach(rule, fans: [], at: at, "\(self.venue.name(seat)): message \(seq), \(words)"))
    }
}

/// Checks that one socket hears every message of the seat room, in order, and none twice.
package struct SeqFollower: Sendable {
    package enum Step: Equatable, Sendable {
        case inOrder
        /// From before the room was joined, or while `sync` is asked.
        case ignored
        /// Some are missing: ask for what came after this one.
        case gap(after: Int64)
        case wrongOrder(after: Int64)
    }

    private var start: Int64?
    /// Heard without a hole before it was known where the room began: messages may overtake the answer to joining.
    private var early: ClosedRange<Int64>?
    private var last: Int64 = 0
    private var highest: Int64 = 0
    /// The first message behind the hole while it is asked for.
    private var behindHole: Int64?

    package init() {}

    /// The room was joined when the last message was `seq`.
    package mutating func join(at seq: Int64) {
        guard self.start == nil else { return }
        (self.start, self.last) = (seq, seq)
        if let early = self.early, early.lowerBound <= seq + 1 { self.last = max(seq, early.upperBound) }
        self.highest = self.last
        self.early = nil
    }

    package mutating func leave() { self = Self() }

    package mutating func receive(_ seq: Int64) -> Step {
        guard let start = self.start else {
            if let early = self.early, seq <= early.upperBound + 1 {
                self.early = early.lowerBound...max(seq, early.upperBound)
            } else {
                self.early = seq...seq
            }
            return .ignored
        }
        guard seq > start else { return .ignored }
        if self.behindHole != nil {
            self.highest = max(self.highest, seq)
            return .ignored
        }
        if seq == self.last + 1 {
            self.last = seq
            return .inOrder
        }
        guard seq > self.last else { return .wrongOrder(after: self.last) }
        (self.behindHole, self.highest) = (seq, seq)
        return .gap(after: self.last)
    }

    /// What `sync` answered; nil if it did not, or begins anew.
    ///
    /// - Returns: whether the hole is filled.
    package mutating func synced(_ seqs: [Int64]?) -> Bool {
        guard let behindHole = self.behindHole else { return true }
        self.behindHole = nil
        // Those that came meanwhile are behind the hole, in order.
        defer { self.last = max(self.last, self.highest) }
        guard let seqs else { return true }
        for seq in seqs where seq > self.last {
            guard seq == self.last + 1 else { return false }
            self.last = seq
        }
        return self.last >= behindHole - 1
    }
}
