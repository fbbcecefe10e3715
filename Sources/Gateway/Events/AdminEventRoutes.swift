import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import Orders
import Seating
import Sessions
import WaitingRoom

/// `/api/admin/events/*`: the box office.
struct AdminEventRoutes: Sendable {
    let events: Events
    let waitingRoom: WaitingRoom
    let seating: Seating
    let orders: Orders
    let authenticator: Authenticator
    let audit: AuditLog

    func add(to router: Router<GatewayContext>) {
        let admin = router.group("api/admin/events")
        admin.post(use: create)
        admin.get("{eventId}", use: detail)
        admin.patch("{eventId}", use: change)
        admin.delete("{eventId}", use: delete)
        admin.post("{eventId}/open") { try await setStatus(.open, $0, $1) }
        admin.post("{eventId}/pause") { try await setStatus(.paused, $0, $1) }
        admin.post("{eventId}/close") { try await setStatus(.closed, $0, $1) }
        admin.get("{eventId}/report", use: report)
    }

    private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let admin = try await authenticator.administrator(request)
        let file = try await request.json(EventFile.self)
        let event = try await events.create(file)
        try await audit.record("admin.event.created", of: event.id, by: admin, context)
        return tagged(event, status: .created)
    }

    private func detail(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.administrator(request)
        return tagged(try await events.existing(context.eventID()))
    }

    /// Changes what the body names; other parts stay. `If-Match` with the version refuses when somebody was faster.
    private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let admin = try await authenticator.administrator(request)
        let id = try context.eventID()
        let body = try await request.json(EventChangeBody.self)
        if let field = body.unchangeable.first {
            let errors = body.unchangeable.map { Problem.FieldError($0, "cannot be changed") }
            throw Problem(.invalid, "\(field) cannot be changed.", errors: errors)
        }
        switch try await events.update(id, body.change, onlyIf: try request.expectedVersion()) {
        case .notFound: throw Problem.noSuchEvent
        case .changedMeanwhile(let event):
            throw Problem(.eventChanged, "Somebody changed the event: it is at version \(event.version) now.")
        case .changed(let event):
            try await waitingRoom.announceRules(of: event, unpaused: body.change.paused == false)
            let facts = ["fields": body.fields.sorted().joined(separator: " ")]
            try await audit.record("admin.event.changed", of: id, by: admin, context, facts)
            return tagged(event)
        }
    }

    /// First nothing more can begin, then Redis forgets, then PostgreSQL: whatever fails on the way can be repeated.
    private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Payload: Encodable {
            let message = "Event deleted"
            let eventId: EventID
        }
        let admin = try await authenticator.administrator(request)
        let id = try context.eventID()
        let refusal = Problem(.eventHasOrders, "The event has orders, which are kept. Close it instead.")
        if try await orders.existAny(of: id) { throw refusal }
        guard let event = try await events.setStatus(id, .closed) else { throw Problem.noSuchEvent }
        try await seating.forget(event.id)
        try await waitingRoom.forget(event.id)
        switch try await events.delete(id) {
        case .notFound: throw Problem.noSuchEvent
        case .hasOrders: throw refusal
        case .deleted: break
        }
        try await audit.record("admin.event.deleted", of: id, by: admin, context, ["title": event.title])
        // Once more: somebody may have acted on the event between the two. A key that is left is an empty promise.
        try? await seating.forget(id)
        try? await waitingRoom.forget(id)
        return .json(Payload(eventId: id))
    }

    private func setStatus(
        _ status: EventStatus,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        let admin = try await authenticator.administrator(request)
        guard let event = try await events.setStatus(context.eventID(), status) else { throw Problem.noSuchEvent }
        try await audit.record("admin.event.status", of: event.id, by: admin, context, ["status": status.rawValue])
        return tagged(event)
    }

    private func report(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.administrator(request)
        let event = try await events.existing(context.eventID())
        let format = try ReportFormat(request)
        if format == .soldSeats { return SoldSeatsCSV(orders: orders, event: event).response() }
        let report = try await orders.report(of: event)
        return format == .csv ? report.csv() : .json(SalesReportPayload(report))
    }

    /// For administrators, rules of the waiting room included.
    private func tagged(_ event: Event, status: HTTPResponse.Status = .ok) -> Response {
        var response = Response.json(EventPayload(event, isForAdministrators: true), status: status)
        response.headers[.eTag] = "\"\(event.version)\""
        return response
    }
}

extension Request {
    /// The version in `If-Match`, nil for none and for `*`.
    fileprivate func expectedVersion() throws(Problem) -> Int64? {
        guard let tag = headers[.ifMatch], tag != "*" else { return nil }
        guard tag.hasPrefix("\""), tag.hasSuffix("\""), let version = Int64(tag.dropFirst().dropLast()) else {
            throw .invalid(.init("If-Match", "is not a tag that this service gave out"))
        }
        return version
    }
}

/// The parts of an event file that may change, all optional. Null is a value only for `sale.opensAt`.
private struct EventChangeBody: Decodable {
    var change = EventChange()
    /// What the body named, as in `sale.holdSeconds`.
    var fields: [String] = []
    var unchangeable: [String] = []

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let file = try decoder.container(keyedBy: Key.self)
        for key in file.allKeys {
            let name = key.stringValue
            fields.append(name)
            switch name {
            case "title": change.title = try file.decode(String.self, forKey: key)
            case "venue": change.venue = try file.decode(String.self, forKey: key)
            case "startsAt": change.startsAt = try file.decode(ServerTime.self, forKey: key)
            case "sale": try readSale(try file.nestedContainer(keyedBy: Key.self, forKey: key))
            case "queue": try readQueue(try file.nestedContainer(keyedBy: Key.self, forKey: key))
            default: unchangeable.append(name)
            }
        }
    }

    private mutating func readSale(_ sale: KeyedDecodingContainer<Key>) throws {
        for key in sale.allKeys {
            let name = key.stringValue
            fields.append("sale.\(name)")
            switch name {
            case "opensAt": change.opensAt = .some(try sale.decodeIfPresent(ServerTime.self, forKey: key))
            case "maxSeatsPerUser": change.maxSeatsPerUser = try sale.decode(Int.self, forKey: key)
            case "holdSeconds": change.holdSeconds = try sale.decode(Int.self, forKey: key)
            case "noOrphanSeats": change.noOrphanSeats = try sale.decode(Bool.self, forKey: key)
            default: unchangeable.append("sale.\(name)")
            }
        }
    }

    private mutating func readQueue(_ queue: KeyedDecodingContainer<Key>) throws {
        for key in queue.allKeys {
            let name = key.stringValue
            fields.append("queue.\(name)")
            switch name {
            case "enabled": change.queueEnabled = try queue.decode(Bool.self, forKey: key)
            case "maxActive": change.maxActive = try queue.decode(Int.self, forKey: key)
            case "ratePerMinute": change.ratePerMinute = try queue.decode(Int.self, forKey: key)
            case "passSeconds": change.passSeconds = try queue.decode(Int.self, forKey: key)
            case "paused": change.paused = try queue.decode(Bool.self, forKey: key)
            case "mode": change.queueMode = try queue.decode(QueueMode.self, forKey: key)
            default: unchangeable.append("queue.\(name)")
            }
        }
    }
}
