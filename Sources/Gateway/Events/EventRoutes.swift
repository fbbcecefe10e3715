import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import Seating

/// `/api/events/*`, for everybody.
struct EventRoutes: Sendable {
    let events: Events
    let seating: Seating

    func add(to router: Router<GatewayContext>) {
        let open = router.group("api/events")
        open.get(use: list)
        open.get("{eventId}", use: detail)
    }

    private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let page = try await events.list(after: request.cursor, limit: request.pageLimit())
        return .json(EventListPayload(events: page.events.map { EventPayload($0) }, nextCursor: page.nextCursor))
    }

    private func detail(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let event = try await events.existing(context.eventID())
        return .json(EventPayload(event, available: try await seating.availability(of: event)))
    }
}

extension Events {
    /// - Throws: ``Problem`` `EVENT_NOT_FOUND`.
    func existing(_ id: EventID) async throws -> Event {
        guard let event = try await event(id) else { throw Problem.noSuchEvent }
        return event
    }
}
