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
        // Exact, which a Date is not: it is a Double. And it is in every answer about seats, so it has to be quick.
        let (seconds, remainder) = millisecondsSinceEpoch.quotientAndRemainder(dividingBy: 1_000)
        var wholeSeconds = time_t(remainder < 0 ? seconds - 1 : seconds)
        let fraction = Int(remainder < 0 ? remainder + 1_000 : remainder)
        var parts = tm()
        guard gmtime_r(&wholeSeconds, &parts) != nil else { return "" }
        let fields: [(value: Int, width: Int, end: Unicode.Scalar)] = [
            (Int(parts.tm_year) + 1_900, 4, "-"), (Int(parts.tm_mon) + 1, 2, "-"), (Int(parts.tm_mday), 2, "T"),
            (Int(parts.tm_hour), 2, ":"), (Int(parts.tm_min), 2, ":"), (Int(parts.tm_sec), 2, "."), (fraction, 3, "Z"),
        ]
        var text = ""
        text.reserveCapacity(24)
        for field in fields {
            let digits = String(field.value)
            for _ in digits.utf8.count..<max(field.width, digits.utf8.count) { text.append("0") }
            text += digits
            text.unicodeScalars.append(field.end)
        }
        return text
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
