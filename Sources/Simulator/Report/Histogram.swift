/// Times by percentile in fixed memory, to about three parts in a hundred, from a microsecond to over an hour.
///
/// - Shape: linear below 64 µs, above it 32 steps for each power of two.
/// - Source: Gil Tene's HdrHistogram, whose bucketing this is.
package struct Histogram: Sendable {
    private static let steps = 64
    private static let half = 32
    private static let powers = 27

    private var counts = [UInt32](repeating: 0, count: Self.steps + Self.half * Self.powers)
    package private(set) var count = 0
    package private(set) var longest = Duration.zero

    package init() {}

    package mutating func record(_ time: Duration) {
        let microseconds = UInt64(max(time.nanoseconds / 1_000, 0))
        self.counts[min(Self.index(microseconds), self.counts.count - 1)] &+= 1
        self.count += 1
        self.longest = max(self.longest, time)
    }

    package mutating func merge(_ other: Histogram) {
        for index in self.counts.indices { self.counts[index] &+= other.counts[index] }
        self.count += other.count
        self.longest = max(self.longest, other.longest)
    }

    private static func index(_ microseconds: UInt64) -> Int {
        guard microseconds >= UInt64(Self.steps) else { return Int(microseconds) }
        let power = 63 - microseconds.leadingZeroBitCount - 5
        return Self.steps + (power - 1) * Self.half + Int(microseconds >> UInt64(power)) - Self.half
    }

    /// The longest time that falls into a bucket.
    private static func upper(_ index: Int) -> UInt64 {
        guard index >= Self.steps else { return UInt64(index) }
        let power = (index - Self.steps) / Self.half + 1
        let step = (index - Self.steps) % Self.half + Self.half
        return ((UInt64(step) + 1) << UInt64(power)) - 1
    }

    /// The time within which this share of all was done, 0 to 1.
    package func percentile(_ share: Double) -> Duration {
        guard self.count > 0 else { return .zero }
        let wanted = max(1, Int((share * Double(self.count)).rounded(.up)))
        var seen = 0
        for (index, count) in self.counts.enumerated() where count > 0 {
            seen += Int(count)
            if seen >= wanted { return min(.microseconds(Int64(Self.upper(index))), self.longest) }
        }
        return self.longest
    }
}
