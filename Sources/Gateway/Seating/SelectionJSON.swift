import HoldfastCore
import NIOCore
import Seating
import SocketIO

extension SelectionPayload {
    /// The same JSON as ``encode(to:)`` makes. Written by hand, because it answers every choice of a seat, and `Codable`
    /// would be a tenth of what that costs.
    var json: RawJSON {
        var json = ByteBuffer()
        json.reserveCapacity(160 + 24 * selectedSeats.count)
        json.writeStaticString(#"{"ok":true,"selectedSeats":"#)
        json.write(selectedSeats)
        if let generalAdmission {
            json.writeStaticString(#","generalAdmission":{"#)
            for (index, (area, count)) in generalAdmission.enumerated() {
                if index > 0 { json.writeStaticString(",") }
                json.writeJSONString(area)
                json.writeString(":\(count)")
            }
            json.writeStaticString("}")
        }
        if let seatIds {
            json.writeStaticString(#","seatIds":"#)
            json.write(seatIds)
        }
        if let alternative {
            json.writeStaticString(#","alternative":"#)
            json.write(alternative)
        }
        json.writeStaticString(#","expiresAt":"#)
        json.write(expiresAt?.iso8601)
        json.writeStaticString(#","fence":"#)
        json.write(fence?.description)
        json.writeString(#","extensionsLeft":\#(extensionsLeft),"seq":\#(seq)}"#)
        return RawJSON(trusted: json)
    }
}

extension ByteBuffer {
    fileprivate mutating func write(_ seats: [SeatID]) {
        writeStaticString("[")
        for (index, seat) in seats.enumerated() {
            if index > 0 { writeStaticString(",") }
            writeJSONString(seat.rawValue)
        }
        writeStaticString("]")
    }

    fileprivate mutating func write(_ text: String?) {
        if let text { writeJSONString(text) } else { writeStaticString("null") }
    }
}
