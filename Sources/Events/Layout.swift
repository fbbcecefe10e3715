package import HoldfastCore

/// One numbered seat of a layout.
package struct Seat: Sendable, Hashable {
    package let id: SeatID
    package let section: String
    package let row: Int
    package let number: Int
    package let price: Int64
    /// Place in the layout's order, from 0; the index of the seat's character in a compact snapshot.
    package let ordinal: Int

    package init(id: SeatID, section: String, row: Int, number: Int, price: Int64, ordinal: Int) {
        self.id = id
        self.section = section
        self.row = row
        self.number = number
        self.price = price
        self.ordinal = ordinal
    }
}

/// The seats of an event in one version, with look-up by id. Immutable, so it is shared freely.
package final class Layout: Sendable {
    package let version: Int
    /// In layout order: `seats[n].ordinal == n`.
    package let seats: [Seat]
    package let sections: [Section]
    private let ordinals: [SeatID: Int]

    /// - Parameter seats: in layout order; ordinals are given anew.
    package init(version: Int, seats: [Seat], sections: [Section]) {
        self.version = version
        self.sections = sections
        self.seats = seats.enumerated().map { ordinal, seat in
            Seat(
                id: seat.id,
                section: seat.section,
                row: seat.row,
                number: seat.number,
                price: seat.price,
                ordinal: ordinal
            )
        }
        var ordinals: [SeatID: Int] = [:]
        ordinals.reserveCapacity(seats.count)
        for (ordinal, seat) in seats.enumerated() { ordinals[seat.id] = ordinal }
        self.ordinals = ordinals
    }

    /// The layout that an event file describes: sections in order, rows, then numbers, each from 1.
    package convenience init(version: Int, sections: [Section]) {
        var seats: [Seat] = []
        for section in sections {
            for row in 1...max(section.rows, 1) where row <= section.rows {
                for number in 1...max(section.seatsPerRow, 1) where number <= section.seatsPerRow {
                    seats.append(
                        Seat(
                            id: SeatID(section: section.name, row: row, number: number),
                            section: section.name,
                            row: row,
                            number: number,
                            price: section.price,
                            ordinal: seats.count
                        )
                    )
                }
            }
        }
        self.init(version: version, seats: seats, sections: sections)
    }

    package func ordinal(of id: SeatID) -> Int? { ordinals[id] }

    package func seat(_ id: SeatID) -> Seat? { ordinals[id].map { seats[$0] } }
}
