import Events
import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import Seating

/// A seat with its state, written for every seat of an arena: encoded by hand, a few times faster than `Codable`.
enum SeatMapJSON {
    static func full(_ event: Event, _ layout: Layout, _ snapshot: SeatSnapshot) throws -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(200 + layout.seats.count * 120)
        json.writeString(#"{"eventId":"\#(event.id)","seq":\#(snapshot.seq),"layoutVersion":\#(layout.version),"#)
        json.writeString(#""layout":"/api/events/\#(event.id)/layout?version=\#(layout.version)","seats":["#)
        for (index, seat) in layout.seats.enumerated() {
            if index > 0 { json.writeInteger(UInt8(ascii: ",")) }
            write(seat, to: &json)
            json.writeString(#","status":"\#(status(snapshot.statuses[index]))"}"#)
        }
        json.writeString("]\(try standing(layout, snapshot))}")
        return json
    }

    static func compact(_ event: Event, _ layout: Layout, _ snapshot: SeatSnapshot) throws -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(160 + snapshot.statuses.count)
        json.writeString(#"{"eventId":"\#(event.id)","seq":\#(snapshot.seq),"#)
        json.writeString(#""layoutVersion":\#(snapshot.layoutVersion),"statuses":""#)
        json.writeBytes(snapshot.statuses)
        json.writeString("\"\(try standing(layout, snapshot))}")
        return json
    }

    static func layout(_ event: Event, _ layout: Layout) throws -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(400 + layout.seats.count * 100)
        json.writeString(#"{"eventId":"\#(event.id)","layoutVersion":\#(layout.version),"sections":"#)
        json.writeBytes(try JSONEncoder().encode(layout.sections))
        json.writeString(#","seats":["#)
        for (index, seat) in layout.seats.enumerated() {
            if index > 0 { json.writeInteger(UInt8(ascii: ",")) }
            write(seat, to: &json)
            json.writeString("}")
        }
        json.writeString("]}")
        return json
    }

    private struct Standing: Encodable {
        let name: String
        let price: Int64
        let capacity: Int
        let available: Int
    }

    /// The standing areas as one more field; nothing without any.
    private static func standing(_ layout: Layout, _ snapshot: SeatSnapshot) throws -> String {
        guard !layout.areas.isEmpty else { return "" }
        let areas = zip(layout.areas, snapshot.standingLeft).map { area, left in
            Standing(name: area.name, price: area.price, capacity: area.ordinals.count, available: left)
        }
        return ",\"generalAdmission\":" + String(decoding: try JSONEncoder().encode(areas), as: UTF8.self)
    }

    private static func write(_ seat: Seat, to json: inout ByteBuffer) {
        json.writeString(#"{"id":"\#(escaped(seat.id.rawValue))","section":"\#(escaped(seat.section))","row":"#)
        json.writeString(#"\#(seat.row),"number":\#(seat.number),"price":\#(seat.price)"#)
        if seat.isAccessible { json.writeString(#","accessible":true"#) }
    }

    private static func status(_ code: UInt8) -> String {
        switch code {
        case UInt8(ascii: "l"): "locked"
        case UInt8(ascii: "r"): "reserved"
        default: "available"
        }
    }

    /// Seat ids hold no control characters, so only two characters need an escape.
    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else { return text }
        return text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
    }
}
