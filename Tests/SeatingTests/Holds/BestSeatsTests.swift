import Events
import HoldfastCore
import Testing

@testable import Seating

@Suite struct BestSeatsTests {
    private static let sections = [
        Section(name: "VIP", rows: 2, seatsPerRow: 5, price: 100),
        Section(name: "R", rows: 1, seatsPerRow: 4, price: 10),
    ]
    private let layout = Layout(version: 1, sections: sections)

    private func letters(_ layout: Layout, taken: [String]) -> [UInt8] {
        var letters = [UInt8](repeating: SeatSnapshot.available, count: layout.seats.count)
        for seat in taken.compactMap({ SeatID($0) }) {
            if let ordinal = layout.ordinal(of: seat) { letters[ordinal] = SeatSnapshot.reserved }
        }
        return letters
    }

    private func best(
        _ taken: [String],
        _ quantity: Int,
        in layout: Layout? = nil,
        section: String? = nil,
        maxPrice: Int64? = nil,
        accessible: Bool = false,
        allowOrphans: Bool = false
    ) -> [String] {
        let layout = layout ?? self.layout
        let search = BestSeats(
            layout: layout,
            quantity: quantity,
            section: section,
            maxPrice: maxPrice,
            accessible: accessible,
            allowOrphans: allowOrphans
        )
        return names(search.candidates(in: letters(layout, taken: taken)).groups.first, layout)
    }

    private func names(_ group: [Int]?, _ layout: Layout) -> [String] {
        (group ?? []).map { layout.id(at: $0).rawValue }
    }

    /// One row of seats, as many as signs, and what is best in it; `x` is taken.
    private func bestInRow(_ row: String, _ quantity: Int, allowOrphans: Bool = false) -> String {
        let layout = Layout(version: 1, sections: [Section(name: "A", rows: 1, seatsPerRow: row.count, price: 1)])
        let taken = row.enumerated().filter { $0.element == "x" }.map { "A-1-\($0.offset + 1)" }
        let chosen = Set(best(taken, quantity, in: layout, allowOrphans: allowOrphans))
        return String(row.enumerated().map { chosen.contains("A-1-\($0.offset + 1)") ? "o" : $0.element })
    }

    @Test("The middle of the first row is best, if no seat is left alone")
    func middle() {
        #expect(bestInRow("..........", 2) == "....oo....")
        #expect(bestInRow(".....", 3) == "ooo..")
        #expect(bestInRow(".....", 3, allowOrphans: true) == ".ooo.")
        #expect(bestInRow("x.....x...x", 2) == "x...oox...x")
    }

    @Test("A seat is left alone only where nothing else is left")
    func unavoidableOrphan() {
        #expect(bestInRow("x...x", 2) == "xoo.x" || bestInRow("x...x", 2) == "x.oox")
        #expect(bestInRow("x...x..", 2) == "x...xoo")
        // The second row has a pair to itself.
        #expect(best(["VIP-1-1", "VIP-1-5", "VIP-2-3"], 2) == ["VIP-2-1", "VIP-2-2"])
    }

    @Test("Seats that touch in a later row come before seats apart in the first")
    func adjacentFirst() { #expect(best(["VIP-1-3"], 3) == ["VIP-2-1", "VIP-2-2", "VIP-2-3"]) }

    @Test("Section and price are kept to")
    func bounds() {
        #expect(best([], 2, section: "R") == ["R-1-1", "R-1-2"])
        #expect(best([], 2, maxPrice: 50) == ["R-1-1", "R-1-2"])
        #expect(best([], 2, maxPrice: 5).isEmpty)
    }

    @Test("Without enough seats that touch, the nearest are taken")
    func nearest() {
        let taken = ["VIP-1-2", "VIP-1-4", "VIP-2-2", "VIP-2-4", "R-1-2", "R-1-3"]
        #expect(Set(best(taken, 2)) == ["VIP-1-3", "VIP-2-3"])
        #expect(Set(best(taken, 3, section: "VIP")).isSuperset(of: ["VIP-1-3", "VIP-2-3"]))
        #expect(best(taken, 9).isEmpty)
    }

    @Test("Seats for those who need them are kept for who asks, with one beside for company")
    func accessible() {
        let seats = layout.seats.map { seat in
            Seat(
                id: seat.id,
                section: seat.section,
                row: seat.row,
                number: seat.number,
                price: seat.price,
                ordinal: seat.ordinal,
                isAccessible: seat.section == "VIP" && seat.row == 1 && seat.number <= 2
            )
        }
        let layout = Layout(version: 1, seats: seats, sections: Self.sections)
        #expect(best([], 2, in: layout) == ["VIP-1-4", "VIP-1-5"])
        #expect(best([], 3, in: layout) == ["VIP-1-3", "VIP-1-4", "VIP-1-5"])
        #expect(best([], 2, in: layout, accessible: true) == ["VIP-1-1", "VIP-1-2"])
        #expect(best(["VIP-1-1", "VIP-1-2"], 2, in: layout, accessible: true).isEmpty)
    }

    // MARK: Alternatives

    private func alternatives(to wanted: [String], taken: [String]) -> [[String]] {
        let ordinals = wanted.compactMap { SeatID($0).flatMap { layout.ordinal(of: $0) } }
        return BestSeats(layout: layout, quantity: wanted.count)
            .alternatives(to: ordinals, in: letters(layout, taken: taken))
            .map { names($0, layout) }
    }

    @Test("A whole row in which somebody holds a seat is not offered again; the next one is")
    func alternativesToARow() {
        let wide = Layout(version: 1, sections: [Section(name: "A", rows: 3, seatsPerRow: 100, price: 1)])
        var letters = letters(wide, taken: [])
        letters[0] = SeatSnapshot.locked
        let offered = BestSeats(layout: wide, quantity: 100).alternatives(to: Array(0..<100), in: letters)
        #expect(offered == [Array(100..<200)])
    }

    @Test("The nearest block of as many seats is offered, in the same section first, and nothing dearer")
    func alternatives() {
        #expect(alternatives(to: ["VIP-1-1", "VIP-1-2"], taken: ["VIP-1-2"]).first == ["VIP-2-1", "VIP-2-2"])
        #expect(alternatives(to: ["VIP-1-1"], taken: ["VIP-1-1"]).first == ["VIP-1-2"])
        let noVIP = layout.seats.filter { $0.section == "VIP" }.map(\.id.rawValue)
        #expect(alternatives(to: ["VIP-1-1", "VIP-1-2"], taken: noVIP).first == ["R-1-1", "R-1-2"])
        let noR = layout.seats.filter { $0.section == "R" }.map(\.id.rawValue)
        #expect(alternatives(to: ["R-1-1", "R-1-2"], taken: noR).isEmpty)
    }

    @Test("In an arena of 60,000 seats without two together the nearest are found all the same")
    func arena() {
        let layout = Layout(version: 1, sections: [Section(name: "A", rows: 1_000, seatsPerRow: 60, price: 1)])
        let chessboard = layout.seats.indices.map { index in
            (index + index / 60).isMultiple(of: 2) ? SeatSnapshot.available : SeatSnapshot.locked
        }
        let found = BestSeats(layout: layout, quantity: 4).candidates(in: chessboard)
        #expect(found.isLastResort && found.groups.count == 1)
        #expect(Set((found.groups.first ?? []).map { $0 / 60 }).count <= 3)
        let none = [UInt8](repeating: SeatSnapshot.reserved, count: 60_000)
        #expect(BestSeats(layout: layout, quantity: 4).candidates(in: none).groups.isEmpty)
    }
}
