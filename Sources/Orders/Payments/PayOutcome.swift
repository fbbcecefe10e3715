import HoldfastCore

package enum PayOutcome: Sendable, Equatable {
    case paid(PaymentID, Reservation)
    /// The reservation is pending again; `detail` is a sentence for the person.
    case declined(detail: String)
    /// Not known yet. The reservation keeps its seats.
    case pending(PaymentID, Reservation)
    case notFound
    case expired
    /// Being paid at this moment, cancelled or refunded.
    case wrongState(Reservation)
    case unknownMethod
}
