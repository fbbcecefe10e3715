extension ProblemCode {
    /// What whoever was refused can do now: one sentence, sent with every refusal as `nextStep`.
    ///
    /// `detail` tells which rule refused and with which bound; this tells the way on. It is the same wherever the code is
    /// sent, so a program may rely on the code and a person may read this.
    package var nextStep: String {
        switch self {
        case .malformedRequest: "Send the request as /docs describes it."
        case .notFound: "Check the address and the ids in it; /docs lists every route."
        case .methodNotAllowed: "Use a method that the Allow header names."
        case .requestTimeout: "Send the whole request again, without pauses."
        case .payloadTooLarge: "Send less in one request."
        case .headTooLarge: "Send fewer and shorter header fields."
        case .unsupportedMediaType: "Send JSON as it is, with Content-Type: application/json."
        case .invalid: "Correct the fields that errors names, then send the request again."
        case .unknownEvent: "Check the event's name; docs/api.md lists every event that a client may send."

        case .authenticationRequired: "Sign in, then send the access token with the request."
        case .invalidCredentials: "Check the user id and the password, then try again."
        case .invalidToken: "Get a new access token with the refresh token, or sign in again."
        case .sessionExpired: "Refresh once; if that is refused too, sign in again."
        case .accountDisabled: "Ask an administrator to enable the account."
        case .forbidden: "Ask an administrator for the right to do this."
        case .originNotAllowed: "Use the service's own page, or ask the operator to allow yours (CORS_ORIGINS)."
        case .csrfTokenMissing: "Send the value of the cookie __Host-holdfast-csrf as X-CSRF-Token."
        case .userExists: "Choose another user id, or sign in if this one is yours."
        case .alreadySignedIn: "Sign out on the other device first."
        case .refreshTokenReused: "Sign in again."

        case .redirectNotAllowed: "Use a registered redirect_uri, or ask the operator to register yours."
        case .invalidState, .invalidGrant: "Begin the sign-in again at /oauth/authorize."
        case .groupRequired: "Ask whoever runs the sign-in provider to add you to the group."
        case .providerUnavailable: "Try again after the time that Retry-After names."

        case .eventNotFound: "Take the id from GET /api/events."
        case .eventNotOpen: "Look at the event's status: it says what can be done now, and event-status-changed when."
        case .eventHasOrders: "Close the event instead; its orders are kept."
        case .eventChanged: "Read the event again and repeat the change with its new version."
        case .notAdmitted: "Join the queue and wait for queue-entry-allowed; asking again costs no place."

        case .seatNotFound: "Take the ids of seats from the event's layout."
        case .seatUnavailable: "Choose other seats, ask for best-available, or send alternatives: true."
        case .limitExceeded: "Choose fewer seats, or give some back first."
        case .notHeld: "Choose the seats first, then send the request again."
        case .extensionLimit: "Reserve the seats before the hold ends."
        case .orphanSeat: "Take the single seat too, or move the choice by one."

        case .idempotencyKeyRequired: "Send an Idempotency-Key header, a new value for each order."
        case .idempotencyKeyReused: "Use a new Idempotency-Key for another order."
        case .idempotencyKeyInFlight: "Send the same request again in a second."
        case .reservationNotFound: "Take the id from GET /api/reservations/my."
        case .reservationExpired: "Choose seats and reserve again."
        case .reservationState: "Look at the reservation: its status says what it takes."
        case .paymentDeclined: "Pay in another way before the reservation expires."
        case .paymentMethodUnknown: "Choose a payment method that is offered."
        case .invalidSignature: "Sign the time and the exact body with the shared secret."

        case .tooManyRequests: "Wait for the time that Retry-After names, then try again."
        case .internalError: "Look whether it was carried out before you try again; if it stays so, tell support."
        case .unavailable, .rebuilding: "Try again after the time that Retry-After names; places are kept."
        }
    }
}
