import HoldfastCore
import NIOCore
import Seating
import SocketIO

/// What `seat-selection-changed` says.
struct SelectionChange: Decodable, Sendable, Equatable {
    var eventId: EventID
    var seats: [SeatID]?
    var generalAdmission: [String: Int]?
    var alternatives: Bool?
    var requestId: SeatRequestID?
}

extension SelectionChange: QuicklyDecodable {
    init?(quickly json: RawJSON) {
        var event: EventID?
        var seats: [SeatID]?
        var request: SeatRequestID?
        let isWhole = json.bytes.withUnsafeReadableBytes { bytes in
            var reader = PlainJSONReader(bytes)
            return reader.object { key, reader in
                switch key {
                case "eventId" where event == nil:
                    event = reader.string().flatMap { EventID($0) }
                    return event != nil
                case "seats" where seats == nil:
                    seats = reader.strings { SeatID($0) }
                    return seats != nil
                case "requestId" where request == nil:
                    request = reader.string().flatMap { SeatRequestID($0) }
                    return request != nil
                default:
                    return false
                }
            }
        }
        guard isWhole, let event else { return nil }
        self.init(eventId: event, seats: seats, requestId: request)
    }
}
