package import HoldfastCore

/// All the seats a person holds in an event, as one: one clock, one fence.
///
/// The first grant starts the clock. Adding, swapping or giving back seats never moves it; ``Seating/extend(by:in:)``
/// adds the event's hold time once more, twice at most. When all seats are gone the next grant starts a new clock.
package struct Selection: Sendable, Equatable {
    /// Sorted. Live holds only; reserved seats are not among them.
    package var seats: [SeatID]
    /// Nil when nothing is held.
    package var expiresAt: ServerTime?
    /// The latest grant's. Nil when nothing is held.
    package var fence: Fence?
    package var extensionsLeft: Int
    /// The event's last seat message when this was true.
    package var seq: Int64

    package init(seats: [SeatID], expiresAt: ServerTime?, fence: Fence?, extensionsLeft: Int, seq: Int64) {
        self.seats = seats
        self.expiresAt = expiresAt
        self.fence = fence
        self.extensionsLeft = extensionsLeft
        self.seq = seq
    }

    /// How often a hold may be extended.
    package static let maxExtensions = 2
}

/// What became of a wish for seats. Every case but `unknownSeats` tells what the person holds now.
package enum SelectionOutcome: Sendable, Equatable {
    case selected(Selection)
    case unavailable([SeatID], Selection)
    case unknownSeats([SeatID])
    case notAdmitted(Selection)
    case notOpen(Selection)
    case limitExceeded(maxSeats: Int, Selection)
    /// Only from ``Seating/bestAvailable(quantity:section:maxPrice:by:in:)``.
    case noneLeft(Selection)
}

package enum ExtendOutcome: Sendable, Equatable {
    case extended(Selection)
    case nothingHeld(Selection)
    case limitReached(Selection)
}

/// Whether a person holds certain seats at this moment.
package enum HoldCheck: Sendable, Equatable {
    case held(Fence, expiresAt: ServerTime)
    case notHeld([SeatID])
}
