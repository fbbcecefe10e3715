import Foundation
import Synchronization

/// PostgreSQL's clock, as far as this process knows it: ``ServerTime/now``.
///
/// What a token or a signature says of time has to mean the same on every instance, whatever their machines' clocks show.
/// So time is counted by the system's steady clock, which nobody sets, from a moment that PostgreSQL named. Until it has
/// named one, the machine's clock is believed.
package enum SharedClock {
    /// Shared time less steady time, in milliseconds.
    private static let base = Atomic<Int64>(milliseconds(CLOCK_REALTIME) - milliseconds(CLOCK_BOOTTIME))

    static var now: ServerTime {
        ServerTime(millisecondsSinceEpoch: milliseconds(CLOCK_BOOTTIME) + base.load(ordering: .relaxed))
    }

    /// How far this machine's own clock is ahead; negative when it is behind.
    package static var machineIsAhead: Duration {
        ServerTime(millisecondsSinceEpoch: milliseconds(CLOCK_REALTIME)) - now
    }

    /// PostgreSQL said what its clock shows, at some moment between the question and the answer.
    ///
    /// - Parameters:
    ///   - asked: ``ServerTime/now`` before the question.
    ///   - answered: the same after the answer.
    package static func learn(_ shown: ServerTime, asked: ServerTime, answered: ServerTime) {
        let correction = correction(shown, asked: asked, answered: answered)
        if correction != .zero { base.add(correction.milliseconds, ordering: .relaxed) }
    }

    /// Nothing within the doubt about when PostgreSQL looked, and a tenth of a second: time should not jump for that.
    static func correction(_ shown: ServerTime, asked: ServerTime, answered: ServerTime) -> Duration {
        let half = max(.zero, (answered - asked) / 2)
        let difference = shown - (asked + half)
        let doubt = half + .milliseconds(100)
        return difference > doubt || difference < .zero - doubt ? difference : .zero
    }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
