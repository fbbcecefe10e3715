/// How long to wait before trying again: longer and longer, and never all clients at once.
///
/// - Source: socket.io-client's `reconnectionDelay`, `reconnectionDelayMax` and `randomizationFactor`, with its defaults:
///   1 s, doubled up to 5 s, each time half more or half less.
package struct Backoff: Sendable {
    package var first: Duration = .seconds(1)
    package var longest: Duration = .seconds(5)
    /// Between 0 and 1.
    package var jitter = 0.5
    package private(set) var attempts = 0

    package init(first: Duration = .seconds(1), longest: Duration = .seconds(5), jitter: Double = 0.5) {
        self.first = first
        self.longest = longest
        self.jitter = jitter
    }

    /// The wait before the next attempt.
    ///
    /// - Parameter random: between 0 and 1.
    package mutating func next(random: Double) -> Duration {
        // Past the sixteenth doubling any first wait is beyond any longest one; the number must not grow for ever.
        let plain = self.first * (1 << min(self.attempts, 16))
        self.attempts += 1
        let shifted = plain * (1 + self.jitter * (2 * random - 1))
        return min(shifted, self.longest)
    }

    package mutating func reset() { self.attempts = 0 }
}
