package import HoldfastCore

/// One attempt to pay: a UUID, written in lower case. It is the provider's idempotency key.
package struct PaymentID: StringIdentifier {
    package let rawValue: String

    package init() { rawValue = ReservationID().rawValue }

    package init?(_ text: String) {
        // The same shape as every id of ours.
        guard let id = ReservationID(text) else { return nil }
        rawValue = id.rawValue
    }
}

/// What a provider is asked to charge.
package struct PaymentAttempt: Sendable, Equatable {
    package let id: PaymentID
    package let reservation: ReservationID
    package let method: String
    package let amount: Int64
    package let currency: String
    package let startedAt: ServerTime

    package init(
        id: PaymentID,
        reservation: ReservationID,
        method: String,
        amount: Int64,
        currency: String,
        startedAt: ServerTime
    ) {
        self.id = id
        self.reservation = reservation
        self.method = method
        self.amount = amount
        self.currency = currency
        self.startedAt = startedAt
    }
}

package enum PaymentResult: Sendable, Equatable {
    case succeeded
    /// `detail` is a sentence for the person.
    case declined(detail: String)
    /// Not known yet: a webhook or a later question will tell.
    case pending
}

/// Somebody who moves money.
///
/// All calls name the attempt's id, and a call that is repeated with it charges or refunds once. A thrown error means
/// that the outcome is unknown, never that nothing happened.
package protocol PaymentProvider: Sendable {
    func accepts(method: String) -> Bool
    func charge(_ attempt: PaymentAttempt) async throws -> PaymentResult
    /// What became of an attempt, also of one that never arrived.
    func result(of attempt: PaymentAttempt) async throws -> PaymentResult
    func refund(_ attempt: PaymentAttempt) async throws
}
