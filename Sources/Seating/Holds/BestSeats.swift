import Events
import HoldfastCore

/// Finds groups of free seats that belong together, best first.
///
/// Better is: no single seat left over, then an earlier section of the layout, a lower row, and nearer to the row's middle.
/// Seats of one row that touch come before seats that are merely near. Pure: it reads a map and says what it would like.
struct BestSeats: Sendable {
    /// Groups of ordinals, best first.
    struct Candidates: Equatable, Sendable {
        var groups: [[Int]] = []
        /// Whether each group leaves a seat alone or is scattered: there was nothing better.
        var isLastResort = false
    }

    let layout: Layout
    let quantity: Int
    var section: String?
    /// Of each seat.
    var maxPrice: Int64?
    /// At least one seat for those who need it, which nobody else is given.
    var accessible = false
    /// Whether seats may be left alone though it could be avoided.
    var allowOrphans = false

    /// How many candidates one call takes along: as many as may be lost to others at one moment, and no more, since Redis
    /// looks at each.
    static let maxGroups = 32
    static let maxCandidateSeats = 160
    private var limit: Int { max(1, min(Self.maxGroups, Self.maxCandidateSeats / quantity)) }

    /// - Parameter letters: one for each numbered seat; `a` is free.
    func candidates(in letters: [UInt8]) -> Candidates {
        var clean: [[Int]] = []
        var leaving: [[Int]] = []
        for row in rows where clean.count < limit {
            for group in groups(in: row, letters).sorted(by: { $0.offCentre < $1.offCentre }) {
                if group.leavesOrphan && !allowOrphans {
                    if leaving.count < limit { leaving.append(Array(group.seats)) }
                } else if clean.count < limit {
                    clean.append(Array(group.seats))
                }
            }
        }
        if !clean.isEmpty { return Candidates(groups: clean, isLastResort: allowOrphans) }
        if !leaving.isEmpty { return Candidates(groups: leaving, isLastResort: true) }
        return Candidates(groups: nearest(in: letters).map { [$0] } ?? [], isLastResort: true)
    }

    /// Blocks as good as the seats wanted, nearest first: as many seats side by side, and in all no dearer. In the same
    /// section if it has any, else in the section nearest in price.
    ///
    /// Wanted seats that are held count as free, for the person themselves may hold them; Redis knows. All of them
    /// together cannot be had: that was asked first.
    ///
    /// - Parameter wanted: ordinals of numbered seats, as many as `quantity`.
    func alternatives(to wanted: [Int], in letters: [UInt8]) -> [[Int]] {
        guard let first = wanted.first, let home = layout.block(of: first) else { return [] }
        var letters = letters
        for ordinal in wanted where letters[ordinal] == SeatSnapshot.locked {
            letters[ordinal] = SeatSnapshot.available
        }
        let refused = wanted.sorted()
        let homeRow = home.row(of: first)
        let inRow = wanted.filter { homeRow.contains($0) }
        // Columns are counted in half seats from the row's middle, so that rows of any length lie on each other.
        let column = inRow.reduce(0) { $0 + 2 * $1 } / inRow.count - homeRow.lowerBound - homeRow.upperBound + 1
        let most = wanted.reduce(Int64(0)) { $0 + layout.seats[$1].price }
        var others = layout.blocks.filter { $0 != home && Int64(quantity) * $0.price <= most }
        others.sort { $0.price > $1.price }
        for block in [home] + others where Int64(quantity) * block.price <= most {
            let start = block == home ? (first - home.ordinals.lowerBound) / home.seatsPerRow : 0
            var found: [(distance: Int, seats: [Int])] = []
            for (away, row) in rows(of: block, around: start) where found.count < 2 * limit {
                for group in groups(in: row, letters) where !group.seats.elementsEqual(refused) {
                    let centre = group.seats.lowerBound + group.seats.upperBound - row.lowerBound - row.upperBound
                    let distance = abs(centre - column) + Self.rowWeight * away
                    found.append((distance + (group.leavesOrphan ? Self.orphanWeight : 0), Array(group.seats)))
                }
            }
            guard !found.isEmpty else { continue }
            found.sort { $0.distance < $1.distance }
            return found.prefix(limit).map(\.seats)
        }
        return []
    }

    // MARK: Rows

    /// A row further back counts as one and a half seats to the side, in half seats.
    private static let rowWeight = 3
    /// Where an alternative leaves a seat alone, one that is a seat further away and leaves none is as good.
    private static let orphanWeight = 2

    private var blocks: [Layout.Block] {
        layout.blocks.filter { block in
            (section == nil || block.name == section) && maxPrice.map { block.price <= $0 } ?? true
        }
    }

    private var rows: some Sequence<Range<Int>> {
        blocks.lazy.flatMap { block in
            stride(from: block.ordinals.lowerBound, to: block.ordinals.upperBound, by: block.seatsPerRow)
                .lazy.map { $0..<$0 + block.seatsPerRow }
        }
    }

    /// The rows of a section, the nearest to one of them first, each with its distance.
    private func rows(of block: Layout.Block, around start: Int) -> some Sequence<(away: Int, row: Range<Int>)> {
        let count = block.ordinals.count / block.seatsPerRow
        return (0..<2 * count).lazy.compactMap { step in
            let away = (step + 1) / 2
            let index = start + (step.isMultiple(of: 2) ? away : -away)
            guard index >= 0, index < count else { return nil }
            let first = block.ordinals.lowerBound + index * block.seatsPerRow
            return (away, first..<first + block.seatsPerRow)
        }
    }

    private struct Group {
        let seats: Range<Int>
        /// In half seats.
        let offCentre: Int
        let leavesOrphan: Bool
    }

    /// Every run of `quantity` free seats that touch.
    private func groups(in row: Range<Int>, _ letters: [UInt8]) -> [Group] {
        var found: [Group] = []
        var start = row.lowerBound
        while start < row.upperBound {
            guard letters[start] == SeatSnapshot.available else {
                start += 1
                continue
            }
            var end = start + 1
            while end < row.upperBound, letters[end] == SeatSnapshot.available { end += 1 }
            if end - start >= quantity {
                for first in start...end - quantity where suits(first..<first + quantity) {
                    found.append(
                        Group(
                            seats: first..<first + quantity,
                            offCentre: abs(2 * first + quantity - row.lowerBound - row.upperBound),
                            leavesOrphan: first - start == 1 || end - first - quantity == 1
                        )
                    )
                }
            }
            start = end
        }
        return found
    }

    private func suits(_ group: Range<Int>) -> Bool {
        guard !layout.accessible.isEmpty else { return !accessible }
        return group.contains { layout.accessible.contains($0) } == accessible
    }

    // MARK: Apart

    /// The seats nearest to one free seat, for the anchor with which they are closest together.
    ///
    /// One anchor per row, of at most 32 rows; from it outward, until no row further away could have a nearer seat: quick
    /// in the largest arena.
    private func nearest(in letters: [UInt8]) -> [Int]? {
        var best: (spread: Int, seats: [Int])?
        var anchors = 0
        for block in blocks {
            for index in 0..<block.ordinals.count / block.seatsPerRow where anchors < 32 {
                let first = block.ordinals.lowerBound + index * block.seatsPerRow
                let row = first..<first + block.seatsPerRow
                let doubledMiddle = row.lowerBound + row.upperBound - 1
                let anchor = row.filter { isFree($0, letters) }
                    .min { abs(2 * $0 - doubledMiddle) < abs(2 * $1 - doubledMiddle) }
                guard let anchor else { continue }
                anchors += 1
                guard let near = near(anchor, in: block, index, letters) else { continue }
                if best.map({ near.spread < $0.spread }) ?? true { best = near }
            }
        }
        return best?.seats
    }

    private func near(
        _ anchor: Int,
        in block: Layout.Block,
        _ index: Int,
        _ letters: [UInt8]
    ) -> (spread: Int, seats: [Int])? {
        let column = (anchor - block.ordinals.lowerBound) % block.seatsPerRow
        var found: [(distance: Int, ordinal: Int)] = []
        // How many are at each distance, so that the end of the search is known without sorting at every row.
        let furthest = 2 * block.seatsPerRow + Self.rowWeight * (block.ordinals.count / block.seatsPerRow)
        var counts = Array(repeating: 0, count: furthest + 1)
        var (within, reach) = (0, 0)
        for (away, row) in rows(of: block, around: index) {
            while reach <= Self.rowWeight * away {
                within += counts[reach]
                reach += 1
            }
            if within >= quantity { break }
            for ordinal in row where isFree(ordinal, letters) {
                let distance = 2 * abs(ordinal - row.lowerBound - column) + Self.rowWeight * away
                found.append((distance, ordinal))
                if distance < reach { within += 1 } else { counts[distance] += 1 }
            }
        }
        guard found.count >= quantity else { return nil }
        found.sort { ($0.distance, $0.ordinal) < ($1.distance, $1.ordinal) }
        let near = found.prefix(quantity)
        if accessible, !near.contains(where: { layout.accessible.contains($0.ordinal) }) { return nil }
        return (near.reduce(0) { $0 + $1.distance }, near.map(\.ordinal))
    }

    private func isFree(_ ordinal: Int, _ letters: [UInt8]) -> Bool {
        letters[ordinal] == SeatSnapshot.available && (accessible || !layout.accessible.contains(ordinal))
    }
}
