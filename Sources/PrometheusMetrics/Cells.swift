import CoreMetrics
import Synchronization

/// A number that only grows. Adding is one atomic instruction.
final class CounterCell: CounterHandler {
    private let count = Atomic<Int64>(0)

    var value: Int64 { count.load(ordering: .relaxed) }

    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { count.store(0, ordering: .relaxed) }
}

/// A fraction that others add to; in place of a lock the addition is tried until nobody came between.
struct AtomicDouble: ~Copyable {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func store(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var known = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: known) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: known, desired: sum, ordering: .relaxed)
            if exchanged { return }
            known = original
        }
    }
}

final class FloatingPointCounterCell: FloatingPointCounterHandler {
    private let sum = AtomicDouble()

    var value: Double { sum.value }

    func increment(by amount: Double) { if amount > 0, amount.isFinite { sum.add(amount) } }
    func reset() { sum.store(0) }
}

/// A number that goes up and down: swift-metrics' `Gauge` and `Meter`.
final class GaugeCell: RecorderHandler, MeterHandler {
    private let current = AtomicDouble()

    var value: Double { current.value }

    func record(_ value: Int64) { current.store(Double(value)) }
    func record(_ value: Double) { current.store(value) }
    func set(_ value: Int64) { current.store(Double(value)) }
    func set(_ value: Double) { current.store(value) }
    func increment(by amount: Double) { current.add(amount) }
    func decrement(by amount: Double) { current.add(-amount) }
}

/// How often something lay below each of some bounds: swift-metrics' `Timer`, in seconds, and aggregating `Recorder`.
final class HistogramCell: RecorderHandler, TimerHandler {
    private final class Bucket: Sendable {
        let count = Atomic<Int64>(0)
    }

    /// 0.1 ms, as a round trip to Redis takes, to 10 s, which is nobody's patience.
    static let seconds: [Double] = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]
    static let sizes: [Double] = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]

    /// Rising; above the last lies infinity.
    let bounds: [Double]
    /// One more than there are bounds.
    private let buckets: [Bucket]
    private let total = AtomicDouble()

    init(bounds: [Double]) {
        self.bounds = bounds
        buckets = (0...bounds.count).map { _ in Bucket() }
    }

    var counts: [Int64] { buckets.map { $0.count.load(ordering: .relaxed) } }
    var sum: Double { total.value }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        // Few bounds, and most values lie low: looking at one after the other is quickest.
        var index = 0
        while index < bounds.count, value > bounds[index] { index += 1 }
        buckets[index].count.wrappingAdd(1, ordering: .relaxed)
        total.add(value)
    }
}
