import HoldfastCore

/// The lives of the event's seat state, as the fences tell them, and what may be said about the end of one.
///
/// A failover of Redis ends a life with all its holds, and what was answered in its last moments may be unknown to the
/// replica that takes over. So while one may still come, what is found about holds waits for a while: it is dismissed if
/// the life that it is about has ended by then, else it is a breach. Orders, places and passes outlive every life and
/// are judged at once.
///
/// - Bounds: what is found within ``patience``.
struct SeatLives: Sendable {
    private struct Doubt {
        let breach: Breach
        let life: Int64
    }

    /// Sentinels need seconds to agree, the service one more to notice.
    static let patience = Duration.seconds(15)

    /// How many lives may end.
    private let failovers: Int
    private(set) var current: Int64?
    /// How many lives have begun after the first.
    private(set) var ended = 0
    /// What was found in the last moments of a life and proves nothing.
    private(set) var dismissed: [Breach.Rule: Int] = [:]
    private var doubts: [Doubt] = []

    init(failovers: Int) { self.failovers = failovers }

    /// Whether what belongs to this fence has ended with its life.
    func isOver(_ fence: Fence) -> Bool { self.current.map { fence.epoch < $0 } ?? false }

    /// - Returns: whether this fence is the first of a new life.
    mutating func saw(_ fence: Fence) -> Bool {
        guard let current = self.current else {
            self.current = fence.epoch
            return false
        }
        guard fence.epoch > current else { return false }
        self.current = fence.epoch
        self.ended += 1
        for doubt in self.doubts where doubt.life < fence.epoch { self.dismissed[doubt.breach.rule, default: 0] += 1 }
        self.doubts.removeAll { $0.life < fence.epoch }
        return true
    }

    /// Whether more lives have ended than may.
    var isOneTooMany: Bool { self.ended > self.failovers }

    /// - Returns: whether it is too early to call this a breach.
    mutating func doubts(_ breach: Breach) -> Bool {
        guard self.ended < self.failovers, breach.rule.isOfHolds, let life = self.current else { return false }
        self.doubts.append(Doubt(breach: breach, life: life))
        return true
    }

    /// What has waited long enough, or all that waits.
    mutating func decided(_ now: Moment?) -> [Breach] {
        let isDue = { (doubt: Doubt) in now.map { doubt.breach.at + Self.patience < $0 } ?? true }
        defer { self.doubts.removeAll(where: isDue) }
        return self.doubts.filter(isDue).map(\.breach)
    }
}

extension Breach.Rule {
    /// Whether it is about what a life of the seat state ends.
    var isOfHolds: Bool {
        switch self {
        case .seatGrantedTwice, .soldSeatGranted, .fenceNotRising, .fenceShared, .holdEndedEarly, .holdEndedTwice,
            .tabNotTold, .messageGap, .messageOrder, .messageImpossible, .notRestored:
            true
        case .seatSoldTwice, .soldWhilePaused, .admittedWhilePaused, .positionWorse, .overtaken, .tooManyActive,
            .reservationLost, .paymentLost, .wrongState, .nonsenseAccepted, .drawNotFair, .database:
            false
        }
    }
}
