package import HoldfastCore

/// What an administrator changes about an event; nil leaves as it is.
package struct EventChange: Sendable, Equatable {
    package var title: String?
    package var venue: String?
    package var startsAt: ServerTime?
    /// `.some(nil)`: the event opens by command only. Before the sale opens only.
    package var opensAt: ServerTime??
    package var maxSeatsPerUser: Int?
    /// Holds and orders that exist keep their time.
    package var holdSeconds: Int?
    package var noOrphanSeats: Bool?
    package var queueEnabled: Bool?
    package var maxActive: Int?
    package var ratePerMinute: Int?
    /// Passes that were given keep their time.
    package var passSeconds: Int?
    package var paused: Bool?
    /// Before the sale opens only.
    package var queueMode: QueueMode?

    package init() {}

    /// - Throws: ``Problem`` with every field that is out of bounds, or comes too late.
    func applied(to before: Event) throws(Problem) -> Event {
        var event = before
        event.title = title ?? event.title
        event.venue = venue ?? event.venue
        event.startsAt = startsAt ?? event.startsAt
        event.sale.opensAt = opensAt ?? event.sale.opensAt
        event.sale.maxSeatsPerUser = maxSeatsPerUser ?? event.sale.maxSeatsPerUser
        event.sale.holdSeconds = holdSeconds ?? event.sale.holdSeconds
        event.sale.noOrphanSeats = noOrphanSeats ?? event.sale.noOrphanSeats
        event.queue.enabled = queueEnabled ?? event.queue.enabled
        event.queue.maxActive = maxActive ?? event.queue.maxActive
        event.queue.ratePerMinute = ratePerMinute ?? event.queue.ratePerMinute
        event.queue.passSeconds = passSeconds ?? event.queue.passSeconds
        event.queue.paused = paused ?? event.queue.paused
        event.queue.mode = queueMode ?? event.queue.mode
        var errors = EventFile.errors(inTitle: event.title, venue: event.venue)
        errors += EventFile.errors(in: event.sale) + EventFile.errors(in: event.queue)
        if before.status != .scheduled {
            let tooLate = "may change only before the sale opens"
            if event.sale.opensAt != before.sale.opensAt { errors.append(.init("sale.opensAt", tooLate)) }
            if event.queue.mode != before.queue.mode { errors.append(.init("queue.mode", tooLate)) }
        }
        guard let first = errors.first else { return event }
        throw Problem(.invalid, "\(first.field) \(first.detail).", errors: errors)
    }
}

package enum EventChangeOutcome: Sendable, Equatable {
    case changed(Event)
    /// Somebody else changed it since the version that the change is based on: the event as it is.
    case changedMeanwhile(Event)
    case notFound
}

package enum EventDeletion: Sendable, Equatable {
    case deleted
    case hasOrders
    case notFound
}
