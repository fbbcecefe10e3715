package import HoldfastCore

/// One of the three things a person can be in the middle of; the raw value is the field in Redis.
package enum Place: String, Sendable, CaseIterable {
    case event = "eventId"
    case queue = "queueEventId"
    case seats = "seatEventId"
}

/// Where a person was, so that a new connection can put them back.
///
/// Position and held seats are not part of it: they are looked up where they live, so no copy can be stale.
package struct UserState: Sendable, Equatable {
    package var eventID: EventID?
    package var queueEventID: EventID?
    package var seatEventID: EventID?
    package var lastActivity: ServerTime

    package init(eventID: EventID?, queueEventID: EventID?, seatEventID: EventID?, lastActivity: ServerTime) {
        self.eventID = eventID
        self.queueEventID = queueEventID
        self.seatEventID = seatEventID
        self.lastActivity = lastActivity
    }

    package var isEmpty: Bool { eventID == nil && queueEventID == nil && seatEventID == nil }

    /// Reads the flat field–value list of `HGETALL`; unknown fields and ids are skipped.
    init?(fields: [String]) {
        var values: [String: String] = [:]
        for index in stride(from: 0, to: fields.count - 1, by: 2) { values[fields[index]] = fields[index + 1] }
        guard let last = values["lastActivity"].flatMap({ Int64($0) }) else { return nil }
        self.init(
            eventID: values[Place.event.rawValue].flatMap { EventID($0) },
            queueEventID: values[Place.queue.rawValue].flatMap { EventID($0) },
            seatEventID: values[Place.seats.rawValue].flatMap { EventID($0) },
            lastActivity: ServerTime(millisecondsSinceEpoch: last)
        )
    }
}
