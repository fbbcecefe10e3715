package import Foundation

/// A moment by a store's clock, in whole milliseconds since 1970.
///
/// - Shape on the wire: ISO 8601 in UTC with milliseconds, `2027-01-15T10:00:00.000Z`.
package struct ServerTime: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package var millisecondsSinceEpoch: Int64

    package init(millisecondsSinceEpoch: Int64) { self.millisecondsSinceEpoch = millisecondsSinceEpoch }

    /// PostgreSQL's clock, as this process knows it. Nothing that two people compete for may depend on it: stores decide
    /// that by their own.
    package static var now: Self { SharedClock.now }

    package init?(iso8601 text: String) {
        guard text.utf8.count <= 40 else { return nil }
        let plain = Date.ISO8601FormatStyle()
        let fractional = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        guard let date = (try? plain.parse(text)) ?? (try? fractional.parse(text)) else { return nil }
        let milliseconds = (date.timeIntervalSince1970 * 1_000).rounded()
        guard milliseconds.magnitude < 253_402_300_800_000 else { return nil }  // the year 9999
        self.init(millisecondsSinceEpoch: Int64(milliseconds))
    }

    package var iso8601: String {
        // Formatting the fraction by hand keeps it exact; a Date is a Double and would round it.
        let (seconds, remainder) = millisecondsSinceEpoch.quotientAndRemainder(dividingBy: 1_000)
        let wholeSeconds = remainder < 0 ? seconds - 1 : seconds
        let fraction = remainder < 0 ? remainder + 1_000 : remainder
        let text = Date(timeIntervalSince1970: TimeInterval(wholeSeconds)).formatted(Date.ISO8601FormatStyle())
        let digits = String(fraction + 1_000).dropFirst()
        return "\(text.dropLast()).\(digits)Z"
    }

    package var description: String { iso8601 }

    package var date: Date { Date(timeIntervalSince1970: Double(millisecondsSinceEpoch) / 1_000) }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.millisecondsSinceEpoch < rhs.millisecondsSinceEpoch }

    package static func + (lhs: Self, rhs: Duration) -> Self {
        Self(millisecondsSinceEpoch: lhs.millisecondsSinceEpoch + rhs.milliseconds)
    }

    package static func - (lhs: Self, rhs: Self) -> Duration {
        .milliseconds(lhs.millisecondsSinceEpoch - rhs.millisecondsSinceEpoch)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let time = Self(iso8601: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "is not an ISO 8601 time in UTC")
        }
        self = time
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(iso8601)
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    package var milliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
