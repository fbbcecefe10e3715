import Events
import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import Seating

// What seats look like on the wire: over HTTP and in Socket.IO acknowledgements.

struct SelectionPayload: Encodable {
    let ok = true
    let selectedSeats: [SeatID]
    /// Over HTTP: the seats that were asked for, or found.
    let seatIds: [SeatID]?
    @Nullable var expiresAt: ServerTime?
    @Nullable var fence: Fence?
    let extensionsLeft: Int
    let seq: Int64

    init(_ selection: Selection, asked: [SeatID]? = nil) {
        selectedSeats = selection.seats
        seatIds = asked
        expiresAt = selection.expiresAt
        fence = selection.fence
        extensionsLeft = selection.extensionsLeft
        seq = selection.seq
    }
}

/// A refused selection: what is in the way, and what the person has now.
struct SelectionRefusal: Error {
    let problem: Problem
    let selection: Selection?
}

extension SelectionOutcome {
    /// - Throws: ``SelectionRefusal`` for every answer but a granted selection.
    func granted() throws(SelectionRefusal) -> Selection {
        switch self {
        case .selected(let selection):
            return selection
        case .unavailable(let seats, let selection):
            throw .init(.seatUnavailable, "Somebody else has these seats; choose others.", seats, selection)
        case .unknownSeats(let seats):
            throw .init(.seatNotFound, "The event has no such seats.", seats, nil)
        case .notAdmitted(let selection):
            throw .init(.notAdmitted, "Your turn has not come: join the queue and wait to be let in.", [], selection)
        case .notOpen(let selection):
            throw .init(.eventNotOpen, "Seats can be chosen only while the sale is open.", [], selection)
        case .limitExceeded(let most, let selection):
            throw SelectionRefusal(problem: .limitExceeded(most), selection: selection)
        case .noneLeft(let selection):
            throw .init(.seatUnavailable, "There are no such seats left together or apart.", [], selection)
        }
    }
}

extension SelectionRefusal {
    fileprivate init(_ code: ProblemCode, _ detail: String, _ seats: [SeatID], _ selection: Selection?) {
        self.init(problem: Problem(code, detail, unavailable: seats), selection: selection)
    }
}

extension Problem {
    static func limitExceeded(_ most: Int) -> Problem {
        Problem(
            .limitExceeded,
            "One person may have at most \(most) seats of this event.",
            errors: [.init("seatIds", "would make more than \(most) seats")]
        )
    }
}

extension ExtendOutcome {
    func granted() throws(SelectionRefusal) -> Selection {
        switch self {
        case .extended(let selection):
            return selection
        case .nothingHeld(let selection):
            throw .init(.notHeld, "You hold no seats of this event.", [], selection)
        case .limitReached(let selection):
            throw .init(.extensionLimit, "The hold was extended as often as it may be.", [], selection)
        }
    }
}

/// A seat with its state, written for every seat of an arena: encoded by hand, a few times faster than `Codable`.
enum SeatMapJSON {
    static func full(_ event: Event, _ layout: Layout, _ snapshot: SeatSnapshot) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(200 + layout.seats.count * 120)
        json.writeString(#"{"eventId":"\#(event.id)","seq":\#(snapshot.seq),"layoutVersion":\#(layout.version),"#)
        json.writeString(#""layout":"/api/events/\#(event.id)/layout?version=\#(layout.version)","seats":["#)
        for (index, seat) in layout.seats.enumerated() {
            if index > 0 { json.writeInteger(UInt8(ascii: ",")) }
            write(seat, to: &json)
            json.writeString(#","status":"\#(status(snapshot.statuses[index]))"}"#)
        }
        json.writeString("]}")
        return json
    }

    static func compact(_ event: Event, _ snapshot: SeatSnapshot) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(160 + snapshot.statuses.count)
        json.writeString(#"{"eventId":"\#(event.id)","seq":\#(snapshot.seq),"#)
        json.writeString(#""layoutVersion":\#(snapshot.layoutVersion),"statuses":""#)
        json.writeBytes(snapshot.statuses)
        json.writeString(#""}"#)
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

    private static func write(_ seat: Seat, to json: inout ByteBuffer) {
        json.writeString(#"{"id":"\#(escaped(seat.id.rawValue))","section":"\#(escaped(seat.section))","row":"#)
        json.writeString(#"\#(seat.row),"number":\#(seat.number),"price":\#(seat.price)"#)
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
