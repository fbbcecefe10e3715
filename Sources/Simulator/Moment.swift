/// A moment of a play, counted from its beginning by a clock that never jumps.
package struct Moment: Comparable, Hashable, Sendable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = Moment(nanoseconds: 0)
    package static let never = Moment(nanoseconds: .max)

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.nanoseconds < rhs.nanoseconds }

    package static func + (lhs: Self, rhs: Duration) -> Self {
        if lhs == .never { return .never }
        return Self(nanoseconds: lhs.nanoseconds + rhs.nanoseconds)
    }

    package static func - (lhs: Self, rhs: Duration) -> Self { lhs + (.zero - rhs) }

    package static func - (lhs: Self, rhs: Self) -> Duration { .nanoseconds(lhs.nanoseconds - rhs.nanoseconds) }

    package static func seconds(_ seconds: Double) -> Self { Self(nanoseconds: Int64(seconds * 1e9)) }

    package var seconds: Double { Double(self.nanoseconds) / 1e9 }
}

extension Duration {
    package var nanoseconds: Int64 {
        self.components.seconds * 1_000_000_000 + self.components.attoseconds / 1_000_000_000
    }

    package static func seconds(fraction: Double) -> Duration { .nanoseconds(Int64(fraction * 1e9)) }
}
