import Events
import HoldfastCore

/// Finds groups of free seats that belong together, best first.
///
/// Better is: an earlier section of the layout, then a lower row, then nearer to the row's middle. Seats of one row
/// that touch come before seats that are merely near.
struct BestSeats {
    let layout: Layout
    let statuses: [UInt8]

    /// How many seats all candidates may have together. A rush for the best seats spreads over this many, so that one
    /// script call nearly always finds a group.
    private static let maxCandidateSeats = 400

    /// One row of the layout: seats that follow each other in it.
    private struct Row {
        let seats: ArraySlice<Seat>
        /// Half seats are counted in doubles of them, so that the middle is a whole number.
        var doubledMiddle: Int { (seats.first?.number ?? 0) + (seats.last?.number ?? 0) }
    }

    /// - Returns: groups of exactly `quantity` seats; empty when not enough are free.
    func groups(of quantity: Int, section: String?, maxPrice: Int64?) -> [[SeatID]] {
        let limit = max(1, Self.maxCandidateSeats / quantity)
        let rows = rows().filter { row in
            guard let seat = row.seats.first else { return false }
            return (section == nil || seat.section == section) && maxPrice.map { seat.price <= $0 } ?? true
        }
        var found: [[SeatID]] = []
        for row in rows {
            found += adjacent(in: row, quantity: quantity)
            if found.count >= limit { return Array(found.prefix(limit)) }
        }
        if found.isEmpty, let near = nearest(in: rows, quantity: quantity) { found = [near] }
        return found
    }

    private func rows() -> [Row] {
        var rows: [Row] = []
        var start = 0
        let seats = layout.seats
        for index in seats.indices
        where index + 1 == seats.count || seats[index + 1].row != seats[index].row
            || seats[index + 1].section != seats[index].section
        {
            rows.append(Row(seats: seats[start...index]))
            start = index + 1
        }
        return rows
    }

    private func isFree(_ seat: Seat) -> Bool { statuses[seat.ordinal] == SeatSnapshot.available }

    /// Every run of `quantity` free seats that touch, the most central first.
    private func adjacent(in row: Row, quantity: Int) -> [[SeatID]] {
        var runs: [(offCentre: Int, seats: [SeatID])] = []
        var freeInARow = 0
        for index in row.seats.indices {
            let seat = row.seats[index]
            let touches = index > row.seats.startIndex && row.seats[index - 1].number + 1 == seat.number
            freeInARow = isFree(seat) ? (touches ? freeInARow + 1 : 1) : 0
            guard freeInARow >= quantity else { continue }
            let run = row.seats[(index - quantity + 1)...index]
            let doubledMiddle = (run.first?.number ?? 0) + seat.number
            runs.append((abs(doubledMiddle - row.doubledMiddle), run.map(\.id)))
        }
        return runs.sorted { $0.offCentre < $1.offCentre }.map(\.seats)
    }

    /// The seats nearest to one free seat, for the anchor with which they are closest together.
    ///
    /// One anchor per row, of at most 32 rows: enough to find a good group, and quick in the largest arena.
    private func nearest(in rows: [Row], quantity: Int) -> [SeatID]? {
        var bySection: [String: [(seat: Seat, column: Int)]] = [:]
        for row in rows {
            for seat in row.seats where isFree(seat) {
                // Rows are centred on each other.
                bySection[seat.section, default: []].append((seat, 2 * seat.number - row.doubledMiddle))
            }
        }
        var best: (spread: Int, seats: [SeatID])?
        var anchors = 0
        var anchoredRows: Set<String> = []
        for row in rows {
            guard let first = row.seats.first, anchors < 32, let free = bySection[first.section],
                free.count >= quantity, anchoredRows.insert("\(first.section)\n\(first.row)").inserted,
                let anchor = free.filter({ $0.seat.row == first.row }).min(by: { abs($0.column) < abs($1.column) })
            else { continue }
            anchors += 1
            // A row further back counts as one and a half seats to the side.
            let near = free.map {
                (distance: abs($0.column - anchor.column) + 3 * abs($0.seat.row - first.row), $0.seat)
            }
            .sorted { ($0.distance, $0.1.ordinal) < ($1.distance, $1.1.ordinal) }
            .prefix(quantity)
            let spread = near.reduce(0) { $0 + $1.distance }
            if best.map({ spread < $0.spread }) ?? true { best = (spread, near.map(\.1.id)) }
        }
        return best?.seats
    }
}
