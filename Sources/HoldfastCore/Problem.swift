/// Every refusal that leaves the service, over HTTP and over Socket.IO: one table for both.
///
/// The raw value is the stable `code` of the contract. ``status`` is the HTTP status, ``title`` the RFC 9457 title.
package enum ProblemCode: String, Sendable, CaseIterable {
    // Requests that cannot be read
    case malformedRequest = "MALFORMED_REQUEST"
    case notFound = "NOT_FOUND"
    case methodNotAllowed = "METHOD_NOT_ALLOWED"
    case requestTimeout = "REQUEST_TIMEOUT"
    case payloadTooLarge = "PAYLOAD_TOO_LARGE"
    /// Sent by the connection before any route is known; see `HTTPAnswer.problem`.
    case headTooLarge = "HEAD_TOO_LARGE"
    case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
    case invalid = "INVALID"
    case unknownEvent = "UNKNOWN_EVENT"

    // Who you are
    case authenticationRequired = "AUTHENTICATION_REQUIRED"
    case invalidCredentials = "INVALID_CREDENTIALS"
    case invalidToken = "INVALID_TOKEN"
    case sessionExpired = "SESSION_EXPIRED"
    case accountDisabled = "ACCOUNT_DISABLED"
    case forbidden = "FORBIDDEN"
    case originNotAllowed = "ORIGIN_NOT_ALLOWED"
    case csrfTokenMissing = "CSRF_TOKEN_MISSING"
    case userExists = "USER_EXISTS"
    case alreadySignedIn = "ALREADY_SIGNED_IN"
    case refreshTokenReused = "REFRESH_TOKEN_REUSED"

    // Signing in at a provider
    case redirectNotAllowed = "REDIRECT_NOT_ALLOWED"
    case invalidState = "INVALID_STATE"
    case invalidGrant = "INVALID_GRANT"
    case groupRequired = "GROUP_REQUIRED"
    case providerUnavailable = "PROVIDER_UNAVAILABLE"

    // Events and the waiting room
    case eventNotFound = "EVENT_NOT_FOUND"
    case eventNotOpen = "EVENT_NOT_OPEN"
    case eventHasOrders = "EVENT_HAS_ORDERS"
    case eventChanged = "EVENT_CHANGED"
    case notAdmitted = "NOT_ADMITTED"

    // Seats
    case seatNotFound = "SEAT_NOT_FOUND"
    case seatUnavailable = "SEAT_UNAVAILABLE"
    case limitExceeded = "LIMIT_EXCEEDED"
    case notHeld = "NOT_HELD"
    case extensionLimit = "EXTENSION_LIMIT"
    case orphanSeat = "ORPHAN_SEAT"

    // Orders
    case idempotencyKeyRequired = "IDEMPOTENCY_KEY_REQUIRED"
    case idempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED"
    case idempotencyKeyInFlight = "IDEMPOTENCY_KEY_IN_FLIGHT"
    case reservationNotFound = "RESERVATION_NOT_FOUND"
    case reservationExpired = "RESERVATION_EXPIRED"
    case reservationState = "RESERVATION_STATE"
    case paymentDeclined = "PAYMENT_DECLINED"
    case paymentMethodUnknown = "PAYMENT_METHOD_UNKNOWN"
    case invalidSignature = "INVALID_SIGNATURE"

    // The service itself
    case tooManyRequests = "TOO_MANY_REQUESTS"
    case internalError = "INTERNAL_ERROR"
    case unavailable = "UNAVAILABLE"
    case rebuilding = "REBUILDING"

    package var status: Int {
        switch self {
        case .malformedRequest, .idempotencyKeyRequired, .redirectNotAllowed, .invalidState, .invalidGrant: 400
        case .authenticationRequired, .invalidCredentials, .invalidToken, .sessionExpired, .accountDisabled,
            .refreshTokenReused, .invalidSignature:
            401
        case .paymentDeclined: 402
        case .forbidden, .originNotAllowed, .csrfTokenMissing, .groupRequired, .notAdmitted: 403
        case .notFound, .eventNotFound, .seatNotFound, .reservationNotFound, .unknownEvent: 404
        case .methodNotAllowed: 405
        case .requestTimeout: 408
        case .userExists, .alreadySignedIn, .eventNotOpen, .eventHasOrders, .seatUnavailable, .notHeld,
            .extensionLimit, .idempotencyKeyInFlight, .reservationExpired, .reservationState:
            409
        case .eventChanged: 412
        case .payloadTooLarge: 413
        case .unsupportedMediaType: 415
        case .invalid, .limitExceeded, .orphanSeat, .idempotencyKeyReused, .paymentMethodUnknown: 422
        case .tooManyRequests: 429
        case .headTooLarge: 431
        case .internalError: 500
        case .unavailable, .providerUnavailable, .rebuilding: 503
        }
    }

    package var title: String {
        switch self {
        case .malformedRequest: "The request cannot be read"
        case .notFound: "Not found"
        case .methodNotAllowed: "Method not allowed"
        case .requestTimeout: "The request took too long to arrive"
        case .payloadTooLarge: "The request is too large"
        case .headTooLarge: "The request's head is too large"
        case .unsupportedMediaType: "Unsupported media type"
        case .invalid: "The request is not valid"
        case .unknownEvent: "Unknown Socket.IO event"
        case .authenticationRequired: "Authentication required"
        case .invalidCredentials: "Wrong user or password"
        case .invalidToken: "Invalid authentication token"
        case .sessionExpired: "Session expired"
        case .accountDisabled: "The account is disabled"
        case .forbidden: "Not allowed"
        case .originNotAllowed: "Origin not allowed"
        case .csrfTokenMissing: "CSRF token missing"
        case .userExists: "The user already exists"
        case .alreadySignedIn: "Already signed in elsewhere"
        case .refreshTokenReused: "The refresh token was used before"
        case .redirectNotAllowed: "The redirect address is not registered"
        case .invalidState: "The sign-in was not begun here"
        case .invalidGrant: "The provider's grant is not valid"
        case .groupRequired: "Not in the required group"
        case .providerUnavailable: "The sign-in provider does not answer"
        case .eventNotFound: "No such event"
        case .eventNotOpen: "The sale is not open"
        case .eventHasOrders: "The event has orders"
        case .eventChanged: "The event has changed"
        case .notAdmitted: "Not admitted yet"
        case .seatNotFound: "No such seat"
        case .seatUnavailable: "Seat no longer available"
        case .limitExceeded: "Too many seats"
        case .notHeld: "Seats not held"
        case .extensionLimit: "No more extensions"
        case .orphanSeat: "A single seat would be left"
        case .idempotencyKeyRequired: "Idempotency-Key required"
        case .idempotencyKeyReused: "Idempotency-Key used for another request"
        case .idempotencyKeyInFlight: "The same request is in progress"
        case .reservationNotFound: "No such reservation"
        case .reservationExpired: "The reservation has expired"
        case .reservationState: "Not possible in this state"
        case .paymentDeclined: "Payment declined"
        case .paymentMethodUnknown: "Unknown payment method"
        case .invalidSignature: "Invalid signature"
        case .tooManyRequests: "Too many requests"
        case .internalError: "Something went wrong"
        case .unavailable: "Temporarily unavailable"
        case .rebuilding: "Restoring the event's state"
        }
    }
}

/// A refusal on its way to a person: a code of the table, a sentence, and what belongs to this code.
///
/// - Important: `detail` is read by strangers. It names the rule and its bound, never SQL, hosts, keys or stacks. What to
///   do next is ``ProblemCode/nextStep``.
package struct Problem: Error, Sendable {
    /// What is wrong with one field of a request body.
    package struct FieldError: Codable, Hashable, Sendable {
        package let field: String
        package let detail: String

        package init(_ field: String, _ detail: String) {
            self.field = field
            self.detail = detail
        }
    }

    package var code: ProblemCode
    package var detail: String
    /// With ``ProblemCode/invalid``: which fields, at most 20.
    package var errors: [FieldError]
    /// With ``ProblemCode/seatUnavailable``, ``ProblemCode/seatNotFound`` and ``ProblemCode/notHeld``: which seats.
    package var unavailable: [SeatID]
    /// The bound that was met, where the rule has one: seats, bytes, seconds, as `detail` says.
    package var limit: Int?
    /// With 429 and 503: when to come back.
    package var retryAfterSeconds: Int?

    package init(
        _ code: ProblemCode,
        _ detail: String,
        errors: [FieldError] = [],
        unavailable: [SeatID] = [],
        limit: Int? = nil,
        retryAfterSeconds: Int? = nil
    ) {
        self.code = code
        self.detail = detail
        self.errors = Array(errors.prefix(20))
        self.unavailable = unavailable
        self.limit = limit
        self.retryAfterSeconds = retryAfterSeconds ?? (code.status == 503 ? 1 : nil)
    }

    package static func invalid(_ errors: FieldError...) -> Problem {
        Problem(.invalid, errors.map { "\($0.field) \($0.detail)" }.joined(separator: "; ") + ".", errors: errors)
    }
}
