import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import NIOCore
import Presence
import Sessions
import WaitingRoom

/// `/api/queue/*` and the public keys of the entry passes.
struct QueueRoutes: Sendable {
    let events: Events
    let waitingRoom: WaitingRoom
    let presence: Presence
    let standings: StandingWriter
    let authenticator: Authenticator
    let audit: AuditLog

    func add(to router: Router<GatewayContext>) {
        let group = router.group("api/queue")
        group.post("check/{eventId}", use: check)
        group.get("status/{eventId}", use: status)
        group.post("leave/{eventId}", use: leave)
        group.get("draw/{eventId}", use: draw)
        group.get("draw/{eventId}/roster", use: roster)
        group.get("admin/{eventId}", use: state)
        group.patch("admin/{eventId}", use: change)
        group.post("admin/clear/{eventId}", use: clear)
        router.get(".well-known/jwks.json", use: keys)
    }

    private func check(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try await authenticator.signedIn(request).userID
        let event = try await events.existing(context.eventID())
        let standing = try await waitingRoom.join(user, event)
        if standing.isInQueue { try await presence.enter(.queue, of: event.id, user: user) }
        return .json(try await standings.payload(standing, of: user, in: event.id))
    }

    private func status(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try await authenticator.signedIn(request).userID
        let event = try await events.existing(context.eventID())
        let standing = try await waitingRoom.standing(of: user, in: event)
        return .json(try await standings.payload(standing, of: user, in: event.id))
    }

    private func leave(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try await authenticator.signedIn(request).userID
        let event = try await events.existing(context.eventID())
        try await waitingRoom.leave(user, event)
        try await presence.leave(.queue, of: event.id, user: user)
        return .json(try await standings.payload(.none, of: user, in: event.id))
    }

    private func draw(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try await authenticator.signedIn(request).userID
        let event = try await events.existing(context.eventID())
        let (draw, proof) = try await waitingRoom.draws.draw(of: event, for: user)
        return .json(DrawPayload(draw, proof))
    }

    /// For anybody, signed in or not: it names nobody, and a draw that only those in it can check is not public.
    private func roster(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let event = try await events.existing(context.eventID())
        let (bytes, isFinal) = try await waitingRoom.draws.document(of: event)
        var response = Response.json(bytes: ByteBuffer(bytes: bytes))
        response.headers[.cacheControl] = isFinal ? "public, max-age=31536000, immutable" : "public, max-age=1"
        return response
    }

    private func state(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.administrator(request)
        let event = try await events.existing(context.eventID())
        return .json(QueueStatePayload(try await waitingRoom.state(of: event), event.id))
    }

    private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Body: Decodable {
            let maxActive: Int?
            let ratePerMinute: Int?
            let passSeconds: Int?
            let paused: Bool?
            let mode: String?
        }
        let admin = try await authenticator.administrator(request)
        let event = try context.eventID()
        let body = try await request.json(Body.self)
        let change = QueueChange(
            maxActive: body.maxActive,
            ratePerMinute: body.ratePerMinute,
            passSeconds: body.passSeconds,
            paused: body.paused
        )
        if let mode = body.mode, mode != (try await events.existing(event)).queue.mode.rawValue {
            throw Problem.invalid(
                .init("mode", "is fixed when the event is made: people have taken places, or lots, by it")
            )
        }
        guard change != QueueChange() || body.mode != nil else {
            throw Problem.invalid(
                .init("body", "must name at least one of maxActive, ratePerMinute, passSeconds and paused")
            )
        }
        guard let state = try await waitingRoom.update(event, change) else { throw Problem.noSuchEvent }
        let facts: [String: String?] = [
            "maxActive": body.maxActive.map(String.init), "ratePerMinute": body.ratePerMinute.map(String.init),
            "passSeconds": body.passSeconds.map(String.init), "paused": body.paused.map { "\($0)" },
        ]
        try await audit.record("admin.queue.changed", of: event, by: admin, context, facts.compactMapValues { $0 })
        return .json(QueueStatePayload(state, event))
    }

    private func clear(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Payload: Encodable {
            let message = "Queue cleared"
            let cleared: Int
        }
        let admin = try await authenticator.administrator(request)
        let event = try await events.existing(context.eventID())
        let cleared = try await waitingRoom.clear(event.id)
        try await audit.record("admin.queue.cleared", of: event.id, by: admin, context, ["cleared": "\(cleared)"])
        return .json(Payload(cleared: cleared))
    }

    private func keys(_ request: Request, _ context: GatewayContext) async throws -> Response {
        var response = Response.json(bytes: .init(string: standings.passes.signer.jwks))
        response.headers[.cacheControl] = "public, max-age=300"
        return response
    }
}

extension QueueStanding {
    /// Whether there is a place or a pass to come back to.
    var isInQueue: Bool {
        switch self {
        case .lobby, .waiting, .admitted: true
        case .none, .disabled, .closed: false
        }
    }

    /// Whether the person may choose seats.
    var mayEnter: Bool {
        switch self {
        case .admitted, .disabled: true
        case .none, .lobby, .waiting, .closed: false
        }
    }
}
