/// The places that are gone, told from those that still wait.
struct QueueGaps: Sendable, Equatable {
    /// Everything up to here is gone.
    let prefix: Int64
    /// The gaps above, lowest first.
    let ranges: [ClosedRange<Int64>]

    /// - Parameters:
    ///   - waiting: in rising order.
    ///   - next: the next place to be given.
    init(waiting: [Int64], next: Int64) {
        prefix = (waiting.first ?? next) - 1
        var ranges: [ClosedRange<Int64>] = []
        var expected = prefix + 1
        for place in waiting {
            if place > expected { ranges.append(expected...(place - 1)) }
            expected = place + 1
        }
        if !waiting.isEmpty, next > expected { ranges.append(expected...(next - 1)) }
        self.ranges = ranges
    }

    /// The same gaps, cut into pieces that one step may load.
    func runs(ofAtMost length: Int64) -> [ClosedRange<Int64>] {
        ranges.flatMap { range in
            stride(from: range.lowerBound, through: range.upperBound, by: Int(length)).map { start in
                start...min(start + length - 1, range.upperBound)
            }
        }
    }
}
