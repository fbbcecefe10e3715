import Events
import Foundation
import HTTPTypes
import HoldfastCore
import Hummingbird
import Logging
import Presence
import Seating
import Sessions

/// `/api/seats/*` and an event's seat map.
struct SeatRoutes: Sendable {
    let events: Events
    let seating: Seating
    let presence: Presence
    let authenticator: Authenticator
    let audit: AuditLog
    private let answers = SeatMapAnswers()

    init(events: Events, seating: Seating, presence: Presence, authenticator: Authenticator, audit: AuditLog) {
        (self.events, self.seating, self.presence) = (events, seating, presence)
        (self.authenticator, self.audit) = (authenticator, audit)
    }

    func add(to router: Router<GatewayContext>) {
        router.get("api/events/{eventId}/seats", use: snapshot)
        router.get("api/events/{eventId}/layout", use: layout)
        let group = router.group("api/seats")
        group.post("lock", use: lock)
        group.post("release", use: release)
        group.post("extend", use: extend)
        group.post("best-available", use: bestAvailable)
        let admin = router.group("api/admin/events/{eventId}/seats")
        admin.post("block") { try await setBlocked(true, $0, $1) }
        admin.post("unblock") { try await setBlocked(false, $0, $1) }
    }

    private func snapshot(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let event = try await events.existing(context.eventID())
        let format = request.uri.queryParameters["format"]
        guard format == nil || format == "compact" else {
            throw Problem.invalid(.init("format", "must be compact, or left out for the whole map"))
        }
        let snapshot = try await seating.snapshot(of: event)
        let layout = try await events.layout(of: event)
        let isCompact = format == "compact"
        return .json(
            bytes: isCompact
                ? try SeatMapJSON.compact(event, layout, snapshot) : try await answers.full(event, layout, snapshot)
        )
    }

    private func layout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let event = try await events.existing(context.eventID())
        let tag = "\"\(event.id)-\(event.layoutVersion)\""
        let cacheable: HTTPFields = [.eTag: tag, .cacheControl: "public, max-age=0, must-revalidate"]
        if request.hasCopy(tagged: tag) { return Response(status: .notModified, headers: cacheable) }
        var response = Response.json(bytes: try await answers.layout(event, try await events.layout(of: event)))
        for field in cacheable { response.headers[field.name] = field.value }
        // A layout never changes under its version, so an address that names the version is good for ever.
        if request.uri.queryParameters["version"].map(String.init) == String(event.layoutVersion) {
            response.headers[.cacheControl] = "public, max-age=31536000, immutable"
        }
        return response
    }

    private func lock(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Body: Decodable {
            let eventId: EventID
            let seatIds: [SeatID]?
            let generalAdmission: [String: Int]?
            let alternatives: Bool?
            let requestId: SeatRequestID?
        }
        let signedIn = try await authenticator.signedIn(request)
        let body = try await request.json(Body.self)
        let (seats, standing) = (body.seatIds ?? [], body.generalAdmission ?? [:])
        guard !seats.isEmpty || standing.values.contains(where: { $0 > 0 }) else {
            throw Problem.invalid(.init("seatIds", "must name at least one seat, or generalAdmission a place"))
        }
        let event = try await events.existing(body.eventId)
        let outcome = try await seating.lock(
            seats,
            standing: standing,
            by: signedIn.userID,
            in: event,
            options: SelectionOptions(alternatives: body.alternatives ?? false, request: body.requestId)
        )
        let selection = try outcome.selectionOrProblem(in: event)
        await noteSeats(of: signedIn.userID, in: event, context)
        return .json(SelectionPayload(selection, wanted: seats, showsGiven: true))
    }

    /// A socket that connects later finds the seats again.
    private func noteSeats(of user: UserID, in event: Event, _ context: GatewayContext) async {
        do {
            try await presence.enter(.seats, of: event.id, user: user)
        } catch {
            // The seats are held and must not be answered by 503; the person's next step finds them by itself.
            context.logger.debug("seats not noted", metadata: ["error": "\(error)"])
        }
    }

    private func release(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Body: Decodable {
            let eventId: EventID
            let seatIds: [SeatID]?
        }
        let signedIn = try await authenticator.signedIn(request)
        let body = try await request.json(Body.self)
        let event = try await events.existing(body.eventId)
        let selection = try await seating.release(body.seatIds, by: signedIn.userID, in: event)
        return .json(SelectionPayload(selection))
    }

    private func setBlocked(
        _ isBlocked: Bool,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        struct Body: Decodable { let seatIds: [SeatID] }
        struct Answer: Encodable {
            let eventId: EventID
            let seatIds: [SeatID]
            /// Those of a reservation, and standing places.
            let unchanged: [SeatID]
        }
        let admin = try await authenticator.administrator(request)
        let seats = try await request.json(Body.self).seatIds
        guard !seats.isEmpty else { throw Problem.invalid(.init("seatIds", "must name at least one seat")) }
        let event = try await events.existing(context.eventID())
        let layout = try await events.layout(of: event)
        let unknown = seats.filter { layout.ordinal(of: $0) == nil }
        guard unknown.isEmpty else {
            throw Problem.unknownSeats(unknown)
        }
        let changed = try await seating.setBlocked(isBlocked, seats, in: event)
        let action = isBlocked ? "admin.seats.blocked" : "admin.seats.unblocked"
        let named = changed.map(\.rawValue).joined(separator: " ")
        try await audit.record(action, of: event.id, by: admin, context, ["seats": String(named.prefix(2_000))])
        let unchanged = seats.filter { !changed.contains($0) }
        return .json(Answer(eventId: event.id, seatIds: changed, unchanged: unchanged))
    }

    private func extend(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let body = try await request.json(ExtendRequest.self)
        let event = try await events.existing(body.eventId)
        do {
            let options = SelectionOptions(request: body.requestId)
            let outcome = try await seating.extend(by: signedIn.userID, in: event, options: options)
            return .json(SelectionPayload(try outcome.granted()))
        } catch let refusal as SelectionRefusal {
            throw refusal.problem
        }
    }

    private func bestAvailable(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let body = try await request.json(BestAvailableRequest.self)
        let event = try await events.existing(body.eventId)
        let options = SelectionOptions(request: body.requestId)
        let outcome = try await seating.bestAvailable(body.wish, options: options, by: signedIn.userID, in: event)
        let selection = try outcome.selectionOrProblem(in: event)
        await noteSeats(of: signedIn.userID, in: event, context)
        return .json(SelectionPayload(selection, showsGiven: true))
    }
}

extension Request {
    /// Whether `If-None-Match` names the tag, by the weak comparison of RFC 9110.
    fileprivate func hasCopy(tagged tag: String) -> Bool {
        guard let header = headers[.ifNoneMatch] else { return false }
        return header.split(separator: ",").contains { part in
            let one = part.trimmingCharacters(in: .whitespaces)
            return one == "*" || one == tag || one == "W/" + tag
        }
    }
}

/// The same over HTTP and over Socket.IO.
struct BestAvailableRequest: Decodable, Sendable {
    let eventId: EventID
    let quantity: Int
    let section: String?
    let maxPrice: Int64?
    let accessible: Bool?
    let allowOrphans: Bool?
    let requestId: SeatRequestID?

    var wish: BestWish {
        BestWish(
            quantity: quantity,
            section: section,
            maxPrice: maxPrice,
            accessible: accessible ?? false,
            allowOrphans: allowOrphans ?? false
        )
    }
}

/// The same over HTTP and over Socket.IO.
struct ExtendRequest: Decodable, Sendable {
    let eventId: EventID
    let requestId: SeatRequestID?
}

extension SelectionOutcome {
    fileprivate func selectionOrProblem(in event: Event) throws(Problem) -> Selection {
        do { return try granted(in: event) } catch { throw error.problem }
    }
}
