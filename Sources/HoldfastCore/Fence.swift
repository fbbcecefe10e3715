/// The number of one grant of seats; a later grant has a higher one.
///
/// `epoch` counts the lives of the event's seat state in Redis and is raised in PostgreSQL before each rebuild, so
/// whatever a lost Redis granted ranks below everything granted after it. `counter` rises by one with each grant of an
/// epoch. PostgreSQL refuses a sale whose fence is not above the last one it saw for the seat.
///
/// - Shape on the wire: `EPOCH.COUNTER`, as in `3.1207`.
package struct Fence: Hashable, Comparable, Sendable, Codable, LosslessStringConvertible {
    package let epoch: Int64
    package let counter: Int64

    package init(epoch: Int64, counter: Int64) {
        self.epoch = epoch
        self.counter = counter
    }

    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = Int64(parts[0]), let counter = Int64(parts[1]), epoch >= 0, counter >= 0
        else { return nil }
        self.init(epoch: epoch, counter: counter)
    }

    package var description: String { "\(epoch).\(counter)" }

    package static func < (lhs: Self, rhs: Self) -> Bool { (lhs.epoch, lhs.counter) < (rhs.epoch, rhs.counter) }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let fence = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "is not a fence")
        }
        self = fence
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
