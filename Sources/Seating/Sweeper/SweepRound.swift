import HoldfastCore

/// Which events to sweep when: all with a seat state, but of the closed ones only those that may still have holds.
///
/// After a sweep an event rests until one of its holds is due. One given meanwhile is warned of after two thirds of the
/// event's hold time, so half of that is a rest in which nothing can fall due; and so that little is
/// late when the hold time was changed meanwhile, no rest is longer than a second. Pure: no I/O, no clock.
struct SweepRound {
    struct Listed: Equatable {
        let id: EventID
        let isClosed: Bool
        let holdTime: Duration
    }

    private struct Known {
        var holdTime: Duration
        var closedSince: ContinuousClock.Instant?
        var nextSweep: ContinuousClock.Instant
        var holds: Int64 = 0
        /// Closed and without holds: it takes no new ones.
        var isFinished = false
    }

    private static let longestRest = Duration.seconds(1)
    /// An instance may grant for some time after the closing, from its copy of the event, which is younger than this.
    private static let closingTime = Duration.seconds(1)

    private var known: [EventID: Known] = [:]

    /// Holds at the last sweep of each event.
    var holds: Int64 { known.values.reduce(0) { $0 + $1.holds } }

    mutating func list(_ listed: [Listed], now: ContinuousClock.Instant) {
        var listing: [EventID: Known] = [:]
        for event in listed {
            var entry = known[event.id] ?? Known(holdTime: event.holdTime, nextSweep: now)
            if event.holdTime < entry.holdTime { entry.nextSweep = min(entry.nextSweep, now) }
            entry.holdTime = event.holdTime
            entry.closedSince = event.isClosed ? entry.closedSince ?? now : nil
            if !event.isClosed { entry.isFinished = false }
            listing[event.id] = entry
        }
        known = listing
    }

    func due(at now: ContinuousClock.Instant) -> [EventID] {
        known.filter { !$0.value.isFinished && $0.value.nextSweep <= now }.map(\.key)
    }

    /// - Parameters:
    ///   - nextDue: when the next of its holds is to be ended or warned of; nil if it has none.
    ///   - now: the moment before the sweep; what was given since is not among `holdsLeft`.
    mutating func swept(_ event: EventID, holdsLeft: Int64, nextDue: Duration?, now: ContinuousClock.Instant) {
        guard var entry = known[event] else { return }
        let rest = min(Self.longestRest, entry.holdTime / 2)
        entry.holds = holdsLeft
        entry.nextSweep = now + (nextDue.map { min($0, rest) } ?? rest)
        entry.isFinished = holdsLeft == 0 && (entry.closedSince.map { now - $0 > Self.closingTime } ?? false)
        known[event] = entry
    }
}
