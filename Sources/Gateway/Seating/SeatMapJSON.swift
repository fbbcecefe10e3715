import Events
import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import Seating
import SocketIO

/// An event's layout as it is answered, and where in it the text of each seat is.
struct LayoutDocument: Sendable {
    fileprivate(set) var bytes = ByteBuffer()
    /// Where each seat's text ends, before its closing brace; the next begins behind that and a comma.
    fileprivate var ends: [Int] = []
    fileprivate var first = 0
}

/// A seat with its state, written for every seat of an arena: encoded by hand, a few times faster than `Codable`.
enum SeatMapJSON {
    /// - Parameter document: of the same layout; copying a seat's text from there is ten times faster than writing it.
    static func full(
        _ event: Event,
        _ layout: Layout,
        _ snapshot: SeatSnapshot,
        _ document: LayoutDocument
    ) throws -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(400 + document.bytes.readableBytes + layout.seats.count * 24)
        json.writeString(#"{"eventId":"\#(event.id)","seq":\#(snapshot.seq),"layoutVersion":\#(layout.version),"#)
        json.writeString(#""layout":"/api/events/\#(event.id)/layout?version=\#(layout.version)","seats":["#)
        var start = document.first
        for (end, letter) in zip(document.ends, snapshot.statuses) {
            if let text = document.bytes.viewBytes(at: start, length: end - start) { json.writeBytes(text) }
            json.writeStaticString(end == document.ends.last ? lastStatus(letter) : status(letter))
            start = end + 2
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

    static func layout(_ event: Event, _ layout: Layout) throws -> LayoutDocument {
        var document = LayoutDocument()
        document.bytes.reserveCapacity(400 + layout.seats.count * 100)
        document.ends.reserveCapacity(layout.seats.count)
        document.bytes.writeString(#"{"eventId":"\#(event.id)","layoutVersion":\#(layout.version),"sections":"#)
        document.bytes.writeBytes(try JSONEncoder().encode(layout.sections))
        document.bytes.writeString(#","seats":["#)
        document.first = document.bytes.writerIndex
        for (index, seat) in layout.seats.enumerated() {
            if index > 0 { document.bytes.writeInteger(UInt8(ascii: ",")) }
            write(seat, to: &document.bytes)
            document.ends.append(document.bytes.writerIndex)
            document.bytes.writeInteger(UInt8(ascii: "}"))
        }
        document.bytes.writeString("]}")
        return document
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
        json.writeStaticString(#"{"id":"#)
        json.writeJSONString(seat.id.rawValue)
        json.writeStaticString(#","section":"#)
        json.writeJSONString(seat.section)
        json.writeString(#","row":\#(seat.row),"number":\#(seat.number),"price":\#(seat.price)"#)
        if seat.isAccessible { json.writeString(#","accessible":true"#) }
    }

    private static func status(_ code: UInt8) -> StaticString {
        switch code {
        case SeatSnapshot.locked: #","status":"locked"},"#
        case SeatSnapshot.reserved: #","status":"reserved"},"#
        default: #","status":"available"},"#
        }
    }

    private static func lastStatus(_ code: UInt8) -> StaticString {
        switch code {
        case SeatSnapshot.locked: #","status":"locked"}"#
        case SeatSnapshot.reserved: #","status":"reserved"}"#
        default: #","status":"available"}"#
        }
    }
}
