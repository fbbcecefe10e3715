package import HoldfastCore

/// Every seat's status, and the message up to which it is true.
package struct SeatSnapshot: Sendable, Equatable {
    package static let available = UInt8(ascii: "a")
    package static let locked = UInt8(ascii: "l")
    package static let reserved = UInt8(ascii: "r")

    package let seq: Int64
    package let layoutVersion: Int
    /// One character per numbered seat in layout order: `a`, `l` or `r`; also for a seat that is not on sale.
    package let statuses: [UInt8]
    /// The free places of each standing area, in layout order.
    package let standingLeft: [Int]

    package init(seq: Int64, layoutVersion: Int, statuses: [UInt8], standingLeft: [Int] = []) {
        self.seq = seq
        self.layoutVersion = layoutVersion
        self.statuses = statuses
        self.standingLeft = standingLeft
    }
}

/// One message of an event's seat room.
package struct SeatChange: Sendable, Equatable {
    /// The raw value is the contract's word for it.
    package enum Kind: String, Sendable, CaseIterable {
        case locked, released, reserved
    }

    package let seq: Int64
    package let kind: Kind
    package let seatIDs: [SeatID]

    package init(seq: Int64, kind: Kind, seatIDs: [SeatID]) {
        self.seq = seq
        self.kind = kind
        self.seatIDs = seatIDs
    }
}

package enum ChangesOutcome: Sendable, Equatable {
    /// Every message after the one asked for, gapless; `seq` is the last.
    case changes(seq: Int64, [SeatChange])
    /// The log does not reach back that far: take a snapshot.
    case reset
}
