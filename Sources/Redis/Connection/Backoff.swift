/// How long to pause before the next attempt to connect: doubling, bounded, and spread by chance.
///
/// When Redis comes back after an outage, every instance's every connection would otherwise knock in the same millisecond.
struct Backoff: Sendable {
    private let delays: ClosedRange<Duration>
    private var next: Duration

    init(_ delays: ClosedRange<Duration>) {
        self.delays = delays
        next = delays.lowerBound
    }

    /// The pause after one more failure: from half of the current step to the whole. `chance` is from 0 up to 1.
    mutating func fail(chance: Double) -> Duration {
        let step = next
        next = min(next * 2, delays.upperBound)
        return step * (0.5 + 0.5 * chance)
    }

    mutating func succeed() {
        next = delays.lowerBound
    }
}
