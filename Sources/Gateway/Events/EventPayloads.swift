import Events
import HoldfastCore

/// An event as everybody may see it.
struct EventPayload: Encodable {
    struct Sale: Encodable {
        @Nullable var opensAt: ServerTime?
        let maxSeatsPerUser: Int
        let holdSeconds: Int
        let noOrphanSeats: Bool
    }
    struct Queue: Encodable {
        let enabled: Bool
        let mode: String
        let passSeconds: Int
    }
    struct Counts: Encodable {
        let seats: Int
        let available: Int
        let bySection: [String: Int]
    }

    let id: EventID
    let title: String
    let venue: String
    let startsAt: ServerTime
    let currency: String
    let status: EventStatus
    let sale: Sale
    let queue: Queue
    let sections: [Section]
    let generalAdmission: [GeneralAdmission]
    let layoutVersion: Int
    let seatCount: Int
    let createdAt: ServerTime
    /// Only in the detail of one event.
    let counts: Counts?

    /// - Parameter available: seats neither held nor reserved, by section.
    init(_ event: Event, available: [String: Int]? = nil) {
        id = event.id
        title = event.title
        venue = event.venue
        startsAt = event.startsAt
        currency = event.currency
        status = event.status
        sale = Sale(
            opensAt: event.sale.opensAt,
            maxSeatsPerUser: event.sale.maxSeatsPerUser,
            holdSeconds: event.sale.holdSeconds,
            noOrphanSeats: event.sale.noOrphanSeats
        )
        queue = Queue(
            enabled: event.queue.enabled,
            mode: event.queue.mode.rawValue,
            passSeconds: event.queue.passSeconds
        )
        sections = event.sections
        generalAdmission = event.generalAdmission
        layoutVersion = event.layoutVersion
        seatCount = event.seatCount
        createdAt = event.createdAt
        counts = available.map {
            Counts(seats: event.placeCount, available: $0.values.reduce(0, +), bySection: $0)
        }
    }
}

struct EventListPayload: Encodable {
    let events: [EventPayload]
    @Nullable var nextCursor: String?
}
