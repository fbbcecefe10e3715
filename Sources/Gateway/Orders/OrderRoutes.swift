import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import NIOCore
import Orders
import Sessions

/// `/api/reservations/*` and `/api/payments/*`.
struct OrderRoutes: Sendable {
    let events: Events
    let orders: Orders
    let authenticator: Authenticator

    func add(to router: Router<GatewayContext>) {
        let reservations = router.group("api/reservations")
        reservations.post(use: reserve)
        reservations.get("my", use: own)
        reservations.get("{id}", use: one)
        reservations.post("{id}/cancel", use: cancel)
        router.post("api/payments/process", use: pay)
        router.post("api/payments/webhook", use: webhook)
    }

    private func reserve(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Body: Decodable {
            let eventId: EventID
            let seatIds: [SeatID]
        }
        let signedIn = try await authenticator.signedIn(request)
        guard let name = HTTPField.Name("Idempotency-Key"), let key = request.headers[name], !key.isEmpty else {
            throw Problem(.idempotencyKeyRequired, "Send an Idempotency-Key header, new for each order.")
        }
        let body = try await request.json(Body.self)
        let event = try await events.existing(body.eventId)
        let outcome = try await orders.reserve(body.seatIds, by: signedIn.userID, in: event, idempotencyKey: key)
        switch outcome {
        case .created(let reservation), .repeated(let reservation):
            return .json(ReservationPayload(reservation), status: .created)
        case .keyReused:
            throw Problem(
                .idempotencyKeyReused,
                "This Idempotency-Key was used for another order within the last 48 hours.",
                errors: [.init("Idempotency-Key", "was used with another body")]
            )
        case .keyInFlight:
            throw Problem(.idempotencyKeyInFlight, "The same order is being made; ask again in a moment.")
        case .unknownSeats(let seats):
            throw Problem.unknownSeats(seats)
        case .notHeld(let seats):
            throw Problem(
                .notHeld,
                "You do not hold \(seats.list), or no longer; only seats that you hold can be ordered.",
                unavailable: seats
            )
        case .unavailable(let seats):
            throw Problem(.seatUnavailable, "Somebody else has \(seats.list); choose others.", unavailable: seats)
        case .notOpen:
            let status = event.status.rawValue
            throw Problem(.eventNotOpen, "Seats can be ordered while the sale is open or paused; it is \(status).")
        case .limitExceeded(let most):
            throw Problem.limitExceeded(most)
        }
    }

    private func own(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Payload: Encodable {
            let reservations: [ReservationPayload]
            @Nullable var nextCursor: String?
        }
        let signedIn = try await authenticator.signedIn(request)
        let page = try await orders.reservations(
            of: signedIn.userID,
            after: request.cursor,
            limit: request.pageLimit()
        )
        return .json(
            Payload(reservations: page.reservations.map { ReservationPayload($0) }, nextCursor: page.nextCursor)
        )
    }

    private func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        guard let reservation = try await orders.reservation(context.reservationID(), of: signedIn.userID) else {
            throw Problem.noSuchReservation
        }
        return .json(ReservationPayload(reservation))
    }

    private func cancel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        switch try await orders.cancel(context.reservationID(), by: signedIn.userID) {
        case .cancelled(let reservation): return .json(ReservationPayload(reservation))
        case .notFound: throw Problem.noSuchReservation
        case .wrongState(let reservation): throw Problem.wrongState(reservation, "be cancelled")
        }
    }

    private func pay(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Body: Decodable {
            let reservationId: ReservationID
            let paymentMethod: String
        }
        let signedIn = try await authenticator.signedIn(request)
        let body = try await request.json(Body.self)
        switch try await orders.pay(body.reservationId, by: signedIn.userID, method: body.paymentMethod) {
        case .paid(let payment, let reservation):
            return .json(PaymentPayload(success: true, paymentId: payment, reservation: .init(reservation)))
        case .pending(let payment, let reservation):
            let payload = PaymentPayload(success: false, paymentId: payment, reservation: .init(reservation))
            return .json(payload, status: .accepted)
        case .declined(let detail): throw Problem(.paymentDeclined, detail)
        case .notFound: throw Problem.noSuchReservation
        case .expired: throw Problem(.reservationExpired, "The reservation expired before it was paid.")
        case .wrongState(let reservation): throw Problem.wrongState(reservation, "be paid")
        case .unknownMethod:
            throw Problem(
                .paymentMethodUnknown,
                "This payment method is not offered here.",
                errors: [.init("paymentMethod", "is not offered")]
            )
        }
    }

    /// The provider's word on a payment. Whoever signs it is not a person, so there is no session.
    private func webhook(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Payload: Encodable { let received = true }
        let name = HTTPField.Name("X-Holdfast-Signature")
        let signature = name.flatMap { request.headers[$0] }
        let body = try await request.wholeBody(upTo: 64 * 1024)
        switch try await orders.applyWebhook(signature: signature, body: Array(body.readableBytesView)) {
        case .applied, .repeated: return .json(Payload())
        case .invalidSignature:
            let name = "X-Holdfast-Signature"
            throw Problem(.invalidSignature, "\(name) is missing, cannot be read, or does not fit the body.")
        case .tooOld:
            let most = Int(WebhookSignature.tolerance.components.seconds)
            throw Problem(.malformedRequest, "The signature's time is over \(most) seconds off.", limit: most)
        case .malformed(let detail): throw Problem(.malformedRequest, detail)
        case .unknownPayment: throw Problem(.notFound, "There is no payment with this paymentId and reservationId.")
        }
    }
}

extension Problem {
    fileprivate static func wrongState(_ reservation: Reservation, _ wish: String) -> Problem {
        Problem(.reservationState, "The reservation is \(reservation.status.rawValue); only a pending one can \(wish).")
    }
}
