import Foundation
package import HoldfastCore
package import NIOCore

/// What the scripts publish on an event's channel: all that one action has to say at once, one after another with a record
/// separator (0x1E) between.
///
/// - Shape: `l`, `f` or `r`, then the seq, the user and the connection that acted, or nothing, and the JSON that goes to
///   browsers as it is, each after a line feed; `e`, then user and connection; `x`, `t`, `b` or `w`, then user, expiry
///   in milliseconds and a JSON array of seats; `z` and a seq.
package enum SeatMessage: Sendable, Equatable {
    /// Why seats are not their holder's any more.
    package enum HoldEnd: String, Encodable, Sendable {
        /// The hold's time was over.
        case expired
        /// PostgreSQL had given the seats to somebody else's order.
        case lost
        /// An administrator took the seats off sale.
        case blocked
    }

    /// To everyone in the seat room. `payload` is `{"eventId","seatIds","seq"}`, ready to be sent.
    /// `by` is whose seats they are, for instances only: it is told to nobody else.
    case change(SeatChange.Kind, seq: Int64, payload: ByteBuffer, by: SeatActor? = nil)
    /// A hold has more time.
    case extended(by: SeatActor)
    /// To the holder only: these seats are no longer theirs.
    case holdExpired(user: UserID, seats: [SeatID], expiresAt: ServerTime, why: HoldEnd)
    /// To the holder only: a minute ahead, or less for short holds.
    case holdExpiring(user: UserID, seats: [SeatID], expiresAt: ServerTime)
    /// The state was rebuilt and holds are gone: whatever was known before `seq` no longer counts.
    case reset(seq: Int64)

    /// What one publication says, in order; nil for bytes of another shape.
    package static func all(in bytes: ByteBuffer) -> [SeatMessage?] {
        var messages: [SeatMessage?] = []
        var rest = bytes
        while rest.readableBytes > 0 {
            let end = rest.readableBytesView.firstIndex(of: 0x1E) ?? rest.writerIndex
            let length = end - rest.readerIndex
            messages.append(rest.readSlice(length: length).flatMap { SeatMessage($0) })
            rest.moveReaderIndex(forwardBy: min(1, rest.readableBytes))
        }
        return messages
    }

    /// Nil for bytes of another shape, such as a newer release might send: pass them over.
    package init?(_ bytes: ByteBuffer) {
        var bytes = bytes
        guard let type = bytes.readInteger(as: UInt8.self) else { return nil }
        switch type {
        case UInt8(ascii: "l"), UInt8(ascii: "f"), UInt8(ascii: "r"):
            guard let seq = Self.readLine(&bytes).flatMap({ Int64($0) }), let user = Self.readLine(&bytes),
                let connection = Self.readLine(&bytes), bytes.readableBytes > 0
            else { return nil }
            let kind: SeatChange.Kind =
                switch type {
                case UInt8(ascii: "l"): .locked
                case UInt8(ascii: "f"): .released
                default: .reserved
                }
            let actor = UserID(user).map { SeatActor(user: $0, connection: connection) }
            self = .change(kind, seq: seq, payload: bytes.slice(), by: actor)
        case UInt8(ascii: "e"):
            guard let user = Self.readLine(&bytes).flatMap({ UserID($0) }) else { return nil }
            self = .extended(by: SeatActor(user: user, connection: String(buffer: bytes)))
        case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "b"), UInt8(ascii: "w"):
            guard let user = Self.readLine(&bytes).flatMap({ UserID($0) }),
                let expiresAtMs = Self.readLine(&bytes).flatMap({ Int64($0) }),
                let seats = try? JSONDecoder().decode([SeatID].self, from: Data(bytes.readableBytesView))
            else { return nil }
            let expiresAt = ServerTime(millisecondsSinceEpoch: expiresAtMs)
            switch type {
            case UInt8(ascii: "x"):
                self = .holdExpired(user: user, seats: seats, expiresAt: expiresAt, why: .expired)
            case UInt8(ascii: "t"):
                self = .holdExpired(user: user, seats: seats, expiresAt: expiresAt, why: .lost)
            case UInt8(ascii: "b"):
                self = .holdExpired(user: user, seats: seats, expiresAt: expiresAt, why: .blocked)
            default:
                self = .holdExpiring(user: user, seats: seats, expiresAt: expiresAt)
            }
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

/// Who changed their seats, and over which connection.
package struct SeatActor: Sendable, Equatable {
    package let user: UserID
    /// As ``SelectionOptions/connection`` said; empty when it was no connection of theirs, as with a request over HTTP.
    package let connection: String

    package init(user: UserID, connection: String) {
        self.user = user
        self.connection = connection
    }
}

extension SeatChange {
    private struct Payload: Decodable {
        let seatIds: [SeatID]
    }

    /// A message as the log keeps it. Nil for what is no change.
    init?(logged bytes: ByteBuffer) {
        guard case .change(let kind, let seq, let payload, _) = SeatMessage(bytes),
            let decoded = try? JSONDecoder().decode(Payload.self, from: Data(payload.readableBytesView))
        else { return nil }
        self.init(seq: seq, kind: kind, seatIDs: decoded.seatIds)
    }
}
