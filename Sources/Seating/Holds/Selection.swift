package import HoldfastCore

/// All the seats a person holds in an event, as one: one clock, one fence.
///
/// The first grant starts the clock. Adding, swapping or giving back seats never moves it; ``Seating/extend(by:in:options:)``
/// adds the event's hold time once more, twice at most. When all seats are gone the next grant starts a new clock.
package struct Selection: Sendable, Equatable {
    /// Sorted. Live holds only; reserved seats are not among them.
    package var seats: [SeatID]
    /// What the action that was answered has added to it. Sorted.
    package var given: [SeatID]
    /// Nil when nothing is held.
    package var expiresAt: ServerTime?
    /// The latest grant's. Nil when nothing is held.
    package var fence: Fence?
    package var extensionsLeft: Int
    /// The event's last seat message when this was true.
    package var seq: Int64

    package init(
        seats: [SeatID],
        given: [SeatID] = [],
        expiresAt: ServerTime?,
        fence: Fence?,
        extensionsLeft: Int,
        seq: Int64
    ) {
        self.seats = seats
        self.given = given
        self.expiresAt = expiresAt
        self.fence = fence
        self.extensionsLeft = extensionsLeft
        self.seq = seq
    }

    /// How often a hold may be extended.
    package static let maxExtensions = 2
}

/// How a wish for seats is carried out.
package struct SelectionOptions: Sendable, Equatable {
    /// Whether the nearest block that is as good may be given where the seats wanted are taken.
    package var alternatives: Bool
    /// Names this wish, so that sending it again after a lost answer changes nothing. The last one of a hold is known.
    package var request: SeatRequestID?
    /// The connection that acts, so that the person's others alone are told; see ``SeatMessage``.
    package var connection: String

    package init(alternatives: Bool = false, request: SeatRequestID? = nil, connection: String = "") {
        self.alternatives = alternatives
        self.request = request
        self.connection = connection
    }
}

/// A client's name for one request.
///
/// - Bounds: 1 to 64 visible ASCII characters.
package struct SeatRequestID: StringIdentifier {
    package let rawValue: String

    package init?(_ text: String) {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        rawValue = text
    }
}

/// What became of a wish for seats. Every case but the unknown ones tells what the person holds now.
package enum SelectionOutcome: Sendable, Equatable {
    case selected(Selection)
    case unavailable([SeatID], Selection)
    case unknownSeats([SeatID])
    case unknownAreas([String])
    /// A standing area has fewer free places than were wanted.
    case tooFewPlaces(area: String, left: Int, Selection)
    /// The choice would leave these seats alone; see ``SaleRules/noOrphanSeats``.
    case orphans([SeatID], Selection)
    case notAdmitted(Selection)
    case notOpen(Selection)
    case limitExceeded(maxSeats: Int, Selection)
    /// Only from ``Seating/bestAvailable(_:options:by:in:)``.
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
