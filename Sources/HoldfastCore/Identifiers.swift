import Foundation

/// A value that is written as one string everywhere: in JSON, in Redis keys, in SQL.
///
/// `init?(_:)` is the only way in, so a value that exists is a valid one.
package protocol StringIdentifier: Hashable, Sendable, Codable, CustomStringConvertible, LosslessStringConvertible {
    var rawValue: String { get }
}

extension StringIdentifier {
    package var description: String { rawValue }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "is not a valid \(Self.self)"
            )
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// The name a person signs in with.
///
/// - Shape: ASCII letters, digits and `. _ @ + -`; so it is safe inside a Redis hash tag and in a log.
/// - Bounds: 1 to 64 characters.
package struct UserID: StringIdentifier {
    package let rawValue: String

    package init?(_ text: String) {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        rawValue = text
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "@"),
            UInt8(ascii: "+"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// A UUID in lower case, hyphens included, if the text is one in whatever case. `UUID` reads with `sscanf`, which shows
/// where an id is part of every message.
private func canonicalUUID(_ text: String) -> String? {
    guard text.utf8.count == 36 else { return nil }
    var isLower = true
    for (index, byte) in text.utf8.enumerated() {
        switch (index, byte) {
        case (8, UInt8(ascii: "-")), (13, UInt8(ascii: "-")), (18, UInt8(ascii: "-")), (23, UInt8(ascii: "-")): continue
        case (8, _), (13, _), (18, _), (23, _): return nil
        case (_, UInt8(ascii: "0")...UInt8(ascii: "9")), (_, UInt8(ascii: "a")...UInt8(ascii: "f")): continue
        case (_, UInt8(ascii: "A")...UInt8(ascii: "F")): isLower = false
        default: return nil
        }
    }
    return isLower ? text : text.lowercased()
}

/// What is on sale: a UUID, written in lower case.
package struct EventID: StringIdentifier {
    package let rawValue: String

    package init() { rawValue = UUID().uuidString.lowercased() }

    package init?(_ text: String) {
        guard let uuid = canonicalUUID(text) else { return nil }
        rawValue = uuid
    }
}

/// Seats ordered by one person in one go: a UUID, written in lower case.
package struct ReservationID: StringIdentifier {
    package let rawValue: String

    package init() { rawValue = UUID().uuidString.lowercased() }

    package init?(_ text: String) {
        guard let uuid = canonicalUUID(text) else { return nil }
        rawValue = uuid
    }
}

/// One numbered place: `SECTION-ROW-NUMBER`, 1-based, as in `VIP-1-5`.
///
/// Whether the seat exists is the layout's to say; this type only keeps out what no seat could be called.
///
/// - Bounds: 5 to 96 bytes of UTF-8 without control characters.
package struct SeatID: StringIdentifier, Comparable {
    package let rawValue: String

    package init?(_ text: String) {
        guard (5...96).contains(text.utf8.count), text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        rawValue = text
    }

    package init(section: String, row: Int, number: Int) { rawValue = "\(section)-\(row)-\(number)" }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}
