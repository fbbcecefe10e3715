import Foundation
import NIOCore

/// A seat message's fields. There are more of these than of everything else together, and each goes to everybody in the
/// room, so the number is read by hand and the rest only by the first who hears it.
struct SeatMessage: Decodable {
    let seatIds: [String]
    let seq: Int64

    /// The number after the last `"seq":`.
    static func seq(in bytes: ByteBuffer) -> Int64? {
        bytes.withUnsafeReadableBytes { raw in
            let key: StaticString = #""seq":"#
            let length = key.utf8CodeUnitCount
            var start = raw.count - length - 1
            while start >= 0 {
                var matches = 0
                while matches < length, raw[start + matches] == key.utf8Start[matches] { matches += 1 }
                if matches == length { break }
                start -= 1
            }
            guard start >= 0 else { return nil }
            var value: Int64 = 0
            var index = start + length
            var digits = 0
            while index < raw.count, raw[index] >= 0x30, raw[index] <= 0x39, digits < 18 {
                value = value * 10 + Int64(raw[index] - 0x30)
                index += 1
                digits += 1
            }
            return digits > 0 ? value : nil
        }
    }
}
