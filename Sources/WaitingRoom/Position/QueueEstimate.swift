import Events

/// How long a person still waits, from the rules and how full it is inside.
///
/// Two things hold people back: the rate, and places inside, which come free at the latest as passes end. The slower
/// of the two decides. People leave earlier than their pass ends, so this errs on the long side.
struct QueueEstimate: Sendable, Equatable {
    let maxActive: Int
    let ratePerMinute: Int
    let passSeconds: Int
    let active: Int

    /// - Returns: nil while nobody is let in.
    init?(event: Event, active: Int) {
        guard event.status == .open, event.queue.enabled, !event.queue.paused else { return nil }
        maxActive = event.queue.maxActive
        ratePerMinute = event.queue.ratePerMinute
        passSeconds = event.queue.passSeconds
        self.active = active
    }

    func seconds(untilPosition position: Int) -> Int {
        let byRate = Double(position) * 60 / Double(max(ratePerMinute, 1))
        let withoutPlace = max(0, position - max(0, maxActive - active))
        let byTurnover = Double(withoutPlace) * Double(passSeconds) / Double(max(maxActive, 1))
        return Int(min(max(byRate, byTurnover).rounded(.up), 31_536_000))
    }
}
