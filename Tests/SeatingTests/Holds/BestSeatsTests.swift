import Events
import HoldfastCore
import Testing

@testable import Seating

@Suite struct BestSeatsTests {
    let layout = Layout(
        version: 1,
        sections: [
            Section(name: "VIP", rows: 2, seatsPerRow: 5, price: 100),
            Section(name: "R", rows: 1, seatsPerRow: 4, price: 10),
        ]
    )

    private func best(_ taken: [String], _ quantity: Int, section: String? = nil, maxPrice: Int64? = nil) -> [String] {
        var statuses = [UInt8](repeating: SeatSnapshot.available, count: layout.seats.count)
        for seat in taken.compactMap({ SeatID($0) }) {
            if let ordinal = layout.ordinal(of: seat) { statuses[ordinal] = SeatSnapshot.locked }
        }
        let groups = BestSeats(layout: layout, statuses: statuses)
            .groups(of: quantity, section: section, maxPrice: maxPrice)
        return groups.first?.map(\.rawValue) ?? []
    }

    @Test("The middle of the first row is best")
    func middle() { #expect(best([], 3) == ["VIP-1-2", "VIP-1-3", "VIP-1-4"]) }

    @Test("Seats that touch in a later row come before seats apart in the first")
    func adjacentFirst() { #expect(best(["VIP-1-3"], 3) == ["VIP-2-2", "VIP-2-3", "VIP-2-4"]) }

    @Test("Section and price are kept to")
    func bounds() {
        #expect(best([], 2, section: "R") == ["R-1-2", "R-1-3"])
        #expect(best([], 2, maxPrice: 50) == ["R-1-2", "R-1-3"])
        #expect(best([], 2, maxPrice: 5).isEmpty)
    }

    @Test("Without enough seats that touch, the nearest are taken")
    func nearest() {
        let taken = ["VIP-1-2", "VIP-1-4", "VIP-2-2", "VIP-2-4", "R-1-2"]
        #expect(Set(best(taken, 2)) == ["VIP-1-3", "VIP-2-3"] || best(taken, 2) == ["R-1-3", "R-1-4"])
        #expect(Set(best(taken, 2, section: "VIP")) == ["VIP-1-3", "VIP-2-3"])
        #expect(best(taken, 9).isEmpty)
    }
}
