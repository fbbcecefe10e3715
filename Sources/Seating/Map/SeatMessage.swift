import Foundation
package import HoldfastCore
package import NIOCore

/// What the scripts publish on an event's channel.
///
/// - Shape: `l`, `f` or `r`, then the seq, a line feed, and the JSON that goes to browsers as it is;
///   `x` or `w`, then user, expiry in milliseconds and a JSON array of seats, each after a line feed; `z` and a seq.
package enum SeatMessage: Sendable, Equatable {
    /// To everyone in the seat room. `payload` is `{"eventId","seatIds","seq"}`, ready to be sent.
    case change(SeatChange.Kind, seq: Int64, payload: ByteBuffer)
    /// To the holder only: these seats are no longer theirs.
    case holdExpired(user: UserID, seats: [SeatID], expiresAt: ServerTime)
    /// To the holder only: a minute ahead, or less for short holds.
    case holdExpiring(user: UserID, seats: [SeatID], expiresAt: ServerTime)
    /// The state was rebuilt and holds are gone: whatever was known before `seq` no longer counts.
    case reset(seq: Int64)

    /// Nil for bytes of another shape, such as a newer release might send: pass them over.
    package init?(_ bytes: ByteBuffer) {
        var bytes = bytes
        guard let type = bytes.readInteger(as: UInt8.self) else { return nil }
        switch type {
        case UInt8(ascii: "l"), UInt8(ascii: "f"), UInt8(ascii: "r"):
            guard let seq = Self.readLine(&bytes).flatMap({ Int64($0) }), bytes.readableBytes > 0 else { return nil }
            let kind: SeatChange.Kind =
                switch type {
                case UInt8(ascii: "l"): .locked
                case UInt8(ascii: "f"): .released
                default: .reserved
                }
            self = .change(kind, seq: seq, payload: bytes.slice())
        case UInt8(ascii: "x"), UInt8(ascii: "w"):
            guard let user = Self.readLine(&bytes).flatMap({ UserID($0) }),
                let expiresAtMs = Self.readLine(&bytes).flatMap({ Int64($0) }),
                let seats = try? JSONDecoder().decode([SeatID].self, from: Data(bytes.readableBytesView))
            else { return nil }
            let expiresAt = ServerTime(millisecondsSinceEpoch: expiresAtMs)
            self =
                type == UInt8(ascii: "x")
                ? .holdExpired(user: user, seats: seats, expiresAt: expiresAt)
                : .holdExpiring(user: user, seats: seats, expiresAt: expiresAt)
        case UInt8(ascii: "z"):
            guard let seq = Int64(String(buffer: bytes)) else { return nil }
            self = .reset(seq: seq)
        default: return nil
        }
    }

    /// The text up to the next line feed, which is consumed; nil if there is none.
    private static func readLine(_ bytes: inout ByteBuffer) -> String? {
        guard let end = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
            let line = bytes.readString(length: end - bytes.readerIndex)
        else { return nil }
        bytes.moveReaderIndex(forwardBy: 1)
        return line
    }
}

extension SeatChange {
    private struct Payload: Decodable {
        let seatIds: [SeatID]
    }

    /// A message as the log keeps it. Nil for what is no change.
    init?(logged bytes: ByteBuffer) {
        guard case .change(let kind, let seq, let payload) = SeatMessage(bytes),
            let decoded = try? JSONDecoder().decode(Payload.self, from: Data(payload.readableBytesView))
        else { return nil }
        self.init(seq: seq, kind: kind, seatIDs: decoded.seatIds)
    }
}
