package import HoldfastCore

package enum ReserveOutcome: Sendable, Equatable {
    case created(Reservation)
    /// The same key with the same request came before: the answer of then.
    case repeated(Reservation)
    /// The key belongs to another request.
    case keyReused
    /// The same key is being worked on at this moment.
    case keyInFlight
    case unknownSeats([SeatID])
    case notHeld([SeatID])
    /// Held by Redis' account, but not free by PostgreSQL's, which decides.
    case unavailable([SeatID])
    case notOpen
    case limitExceeded(maxSeats: Int)
}

package enum CancelOutcome: Sendable, Equatable {
    case cancelled(Reservation)
    case notFound
    case wrongState(Reservation)
}
