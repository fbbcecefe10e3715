package import HoldfastCore

/// One place of a layout: a numbered seat, or a standing place, whose row is 0.
package struct Seat: Sendable, Hashable {
    package let id: SeatID
    package let section: String
    package let row: Int
    package let number: Int
    package let price: Int64
    /// Place in the layout's order, from 0: numbered seats, then standing places.
    package let ordinal: Int
    /// For a wheelchair, say: given only to those who ask for it.
    package let isAccessible: Bool

    package init(
        id: SeatID,
        section: String,
        row: Int,
        number: Int,
        price: Int64,
        ordinal: Int,
        isAccessible: Bool = false
    ) {
        self.id = id
        self.section = section
        self.row = row
        self.number = number
        self.price = price
        self.ordinal = ordinal
        self.isAccessible = isAccessible
    }
}

/// The places of an event in one version, with look-up by id. Immutable, so it is shared freely.
package final class Layout: Sendable {
    /// A section's seats: `rows` rows of `seatsPerRow`, one after the other.
    package struct Block: Sendable, Hashable {
        package let name: String
        package let price: Int64
        package let ordinals: Range<Int>
        package let seatsPerRow: Int

        package func row(of ordinal: Int) -> Range<Int> {
            let start = ordinals.lowerBound + (ordinal - ordinals.lowerBound) / seatsPerRow * seatsPerRow
            return start..<start + seatsPerRow
        }
    }

    /// A standing area. Its places are `NAME-0-1` to `NAME-0-CAPACITY`: seats to all rules, and nobody's choice.
    package struct Area: Sendable, Hashable {
        package let name: String
        package let price: Int64
        package let ordinals: Range<Int>

        package func id(of ordinal: Int) -> SeatID {
            SeatID(section: name, row: 0, number: ordinal - ordinals.lowerBound + 1)
        }
    }

    package let version: Int
    /// The numbered seats in layout order: `seats[n].ordinal == n`. A compact snapshot has one character for each.
    package let seats: [Seat]
    package let sections: [Section]
    package let blocks: [Block]
    package let areas: [Area]
    /// Numbered seats and standing places.
    package let placeCount: Int
    /// Ordinals of the seats for those who ask for them.
    package let accessible: Set<Int>
    private let ordinals: [SeatID: Int]
    private let areaNames: [String: Int]

    /// - Parameters:
    ///   - seats: the numbered ones in layout order, section by section; ordinals are given anew.
    ///   - standing: in the order of their places.
    package init(version: Int, seats: [Seat], sections: [Section], standing: [GeneralAdmission] = []) {
        self.version = version
        self.sections = sections
        self.seats = seats.enumerated().map { ordinal, seat in
            Seat(
                id: seat.id,
                section: seat.section,
                row: seat.row,
                number: seat.number,
                price: seat.price,
                ordinal: ordinal,
                isAccessible: seat.isAccessible
            )
        }
        accessible = Set(seats.indices.filter { seats[$0].isAccessible })
        var ordinals: [SeatID: Int] = [:]
        ordinals.reserveCapacity(seats.count)
        for (ordinal, seat) in seats.enumerated() { ordinals[seat.id] = ordinal }
        self.ordinals = ordinals
        var next = 0
        blocks = sections.map { section in
            defer { next += section.seatCount }
            return Block(
                name: section.name,
                price: section.price,
                ordinals: next..<next + section.seatCount,
                seatsPerRow: section.seatsPerRow
            )
        }
        next = seats.count
        areas = standing.map { area in
            defer { next += area.capacity }
            return Area(name: area.name, price: area.price, ordinals: next..<next + area.capacity)
        }
        placeCount = next
        areaNames = Dictionary(uniqueKeysWithValues: areas.enumerated().map { ($1.name, $0) })
    }

    /// The layout that an event file describes: sections in order, rows, then numbers, each from 1.
    package convenience init(version: Int, sections: [Section], standing: [GeneralAdmission] = []) {
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
        self.init(version: version, seats: seats, sections: sections, standing: standing)
    }

    package func area(named name: String) -> Area? { areaNames[name].map { areas[$0] } }

    /// The section a numbered seat is in; nil for a standing place.
    package func block(of ordinal: Int) -> Block? {
        // At most 100 sections.
        blocks.first { $0.ordinals.contains(ordinal) }
    }

    package func ordinal(of id: SeatID) -> Int? { ordinals[id] ?? standingOrdinal(of: id) }

    package func seat(_ id: SeatID) -> Seat? { ordinal(of: id).map { seat(at: $0) } }

    package func id(at ordinal: Int) -> SeatID {
        ordinal < seats.count ? seats[ordinal].id : seat(at: ordinal).id
    }

    /// - Precondition: `ordinal` is one of the layout's.
    package func seat(at ordinal: Int) -> Seat {
        if ordinal < seats.count { return seats[ordinal] }
        guard let area = areas.first(where: { $0.ordinals.contains(ordinal) }) else {
            preconditionFailure("place \(ordinal) is none of the layout's \(placeCount)")
        }
        return Seat(
            id: area.id(of: ordinal),
            section: area.name,
            row: 0,
            number: ordinal - area.ordinals.lowerBound + 1,
            price: area.price,
            ordinal: ordinal
        )
    }

    /// Computed, not stored: an area of 60,000 places takes no memory.
    private func standingOrdinal(of id: SeatID) -> Int? {
        guard let dash = id.rawValue.lastIndex(of: "-"),
            let number = Int(id.rawValue[id.rawValue.index(after: dash)...]),
            let area = areaNames[String(id.rawValue[..<dash].dropLast(2))].map({ areas[$0] }),
            (1...area.ordinals.count).contains(number)
        else { return nil }
        let ordinal = area.ordinals.lowerBound + number - 1
        // "Floor-0-07" and the like name no place.
        return area.id(of: ordinal) == id ? ordinal : nil
    }
}
