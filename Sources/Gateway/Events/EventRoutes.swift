import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import Orders
import Seating
import Sessions

/// `/api/events/*` for everybody, `/api/admin/events/*` for the box office.
struct EventRoutes: Sendable {
    let events: Events
    let seating: Seating
    let orders: Orders
    let authenticator: Authenticator
    let audit: AuditLog

    func add(to router: Router<GatewayContext>) {
        let open = router.group("api/events")
        open.get(use: list)
        open.get("{eventId}", use: detail)
        let admin = router.group("api/admin/events")
        admin.post(use: create)
        admin.post("{eventId}/open") { try await setStatus(.open, $0, $1) }
        admin.post("{eventId}/pause") { try await setStatus(.paused, $0, $1) }
        admin.post("{eventId}/close") { try await setStatus(.closed, $0, $1) }
        admin.get("{eventId}/report", use: report)
    }

    private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let page = try await events.list(after: request.cursor, limit: request.pageLimit())
        return .json(EventListPayload(events: page.events.map { EventPayload($0) }, nextCursor: page.nextCursor))
    }

    private func detail(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let event = try await events.existing(context.eventID())
        return .json(EventPayload(event, available: try await seating.availability(of: event)))
    }

    private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let admin = try await authenticator.administrator(request)
        let file = try await request.json(EventFile.self)
        let event = try await events.create(file)
        try await audit.record("admin.event.created", of: event.id, by: admin, context)
        return .json(EventPayload(event), status: .created)
    }

    private func setStatus(
        _ status: EventStatus,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        let admin = try await authenticator.administrator(request)
        guard let event = try await events.setStatus(context.eventID(), status) else { throw Problem.noSuchEvent }
        try await audit.record("admin.event.status", of: event.id, by: admin, context, ["status": status.rawValue])
        return .json(EventPayload(event))
    }

    private func report(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.administrator(request)
        let event = try await events.existing(context.eventID())
        return .json(SalesReportPayload(try await orders.report(of: event)))
    }
}

extension Events {
    /// - Throws: ``Problem`` `EVENT_NOT_FOUND`.
    func existing(_ id: EventID) async throws -> Event {
        guard let event = try await event(id) else { throw Problem.noSuchEvent }
        return event
    }
}

private struct SalesReportPayload: Encodable {
    struct Section: Encodable {
        let name: String
        let revenue: Int64
        let sold: Int
        let pending: Int
        let available: Int
    }

    let eventId: EventID
    let currency: String
    let revenue: Int64
    let sold: Int
    let pending: Int
    let available: Int
    let bySection: [Section]

    init(_ report: SalesReport) {
        eventId = report.event
        currency = report.currency
        revenue = report.revenue
        sold = report.sold
        pending = report.pending
        available = report.available
        bySection = report.bySection.map {
            Section(name: $0.name, revenue: $0.revenue, sold: $0.sold, pending: $0.pending, available: $0.available)
        }
    }
}
