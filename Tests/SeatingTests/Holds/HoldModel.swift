/// The rules of holds in Swift, without Redis: what the scripts must mean.
///
/// A small hall: two rows of six numbered seats, and a standing area of five places.
struct HoldModel: Equatable {
    struct Hold: Equatable {
        var seats: [String]
        var expiresMs: Int64
        var fence: Int64
        var extensions = 0
        var request = ""
        var given: [String] = []
    }

    /// What a person asks for. `standing` nil: nothing is said of the area.
    struct Wish {
        var seats: [String]
        var standing: Int?
        var exact: Bool
        var open: Bool
        var request = ""
        /// As large as `seats`; offered in their place.
        var groups: [[String]] = []
    }

    static let rows = (1...2).map { row in (1...6).map { "ÄÖ/\"-\(row)-\($0)" } }
    static let area = (1...5).map { "Floor-0-\($0)" }
    static let places = rows.joined() + area

    var holds: [String: Hold] = [:]
    var claims: [String: String] = [:]  // seat → user|claim, or |blocked
    var freed: Set<String> = []
    var fence: Int64 = 0
    var seq: Int64 = 0
    let holdMs: Int64
    let maxSeats: Int
    let noOrphans: Bool

    mutating func expire(_ now: Int64) {
        let due = holds.filter { $0.value.expiresMs <= now }
        for user in due.keys { holds[user] = nil }
        // One message for all of them.
        if !due.isEmpty { seq += 1 }
    }

    private func claimed(_ user: String) -> Int { claims.values.count { $0.hasPrefix("\(user)|") } }

    private func isFree(_ seat: String) -> Bool {
        claims[seat] == nil && !holds.values.contains { $0.seats.contains(seat) }
    }

    /// Seats that a choice leaves alone though as many of its block could have been taken without.
    func orphans(own: [String], kept: [String], added: [String]) -> Set<String> {
        var orphans: Set<String> = []
        for row in Self.rows {
            for block in row.split(whereSeparator: { !isFree($0) && !own.contains($0) })
            where block.contains(where: added.contains) {
                let chosen = block.filter { kept.contains($0) || added.contains($0) }
                let alone = block.split(whereSeparator: chosen.contains).filter { $0.count == 1 }.joined()
                let unavoidable = block.count - chosen.count == 1 ? 1 : 0
                if alone.count > unavoidable { orphans.formUnion(alone) }
            }
        }
        return orphans
    }

    mutating func choose(_ user: String, _ wish: Wish, now: Int64) -> String {
        expire(now)
        let held = holds[user]?.seats ?? []
        if !wish.request.isEmpty, holds[user]?.request == wish.request { return "OK" }
        let standing = Array(held.filter(Self.area.contains).prefix(wish.exact ? wish.standing ?? 0 : 0))
        let missing = (wish.standing ?? 0) - standing.count
        func change(to seats: [String]) -> (added: [String], dropped: [String]) {
            let dropped = wish.exact ? held.filter { !seats.contains($0) && !standing.contains($0) } : []
            return (seats.filter { !held.contains($0) }, dropped)
        }
        func orphaned(_ change: (added: [String], dropped: [String])) -> Bool {
            noOrphans && !change.added.isEmpty
                && !orphans(own: held, kept: held.filter { !change.dropped.contains($0) }, added: change.added).isEmpty
        }
        var (added, dropped) = change(to: wish.seats)
        if added.count + missing > 0 {
            if !wish.open { return "CLOSED" }
            if claimed(user) + held.count - dropped.count + added.count + missing > maxSeats { return "LIMIT" }
            if !added.allSatisfy(isFree) {
                let groups = wish.exact || added.count == wish.seats.count ? wish.groups : []
                let instead = groups.first { group in
                    group.allSatisfy { isFree($0) || (wish.exact && held.contains($0)) } && !orphaned(change(to: group))
                }
                guard let instead else { return "UNAVAILABLE" }
                (added, dropped) = change(to: instead)
            } else if orphaned((added, dropped)) {
                return "ORPHAN"
            }
            let free = Self.area.filter { isFree($0) && !added.contains($0) }
            if free.count < missing { return "SHORT" }
            added += free.prefix(missing)
        }
        if !dropped.isEmpty {
            seq += 1
            holds[user]?.seats.removeAll(where: dropped.contains)
        }
        if added.isEmpty {
            if holds[user]?.seats.isEmpty == true { holds[user] = nil }
            return "OK"
        }
        fence += 1
        seq += 1
        var hold = holds[user] ?? Hold(seats: [], expiresMs: now + holdMs, fence: 0)
        hold.seats += added
        hold.fence = fence
        if !wish.request.isEmpty { (hold.request, hold.given) = (wish.request, added) }
        holds[user] = hold
        return "OK"
    }

    mutating func release(_ user: String, _ seats: [String]?, now: Int64) {
        expire(now)
        guard let hold = holds[user] else { return }
        let gone = seats.map { seats in hold.seats.filter(seats.contains) } ?? hold.seats
        if !gone.isEmpty { seq += 1 }
        holds[user]?.seats.removeAll(where: gone.contains)
        if holds[user]?.seats.isEmpty == true { holds[user] = nil }
    }

    mutating func extend(_ user: String, limit: Int, request: String, now: Int64) -> String {
        expire(now)
        guard let hold = holds[user] else { return "NOTHING" }
        if !request.isEmpty, hold.request == request { return "OK" }
        guard hold.extensions < limit else { return "LIMIT" }
        holds[user]?.extensions += 1
        holds[user]?.expiresMs += holdMs
        if !request.isEmpty {
            holds[user]?.request = request
            holds[user]?.given = []
        }
        return "OK"
    }

    mutating func reserve(_ user: String, _ claim: String, _ seats: [String], now: Int64) {
        expire(now)
        if freed.contains(claim) { return }
        let new = seats.filter { claims[$0] != "\(user)|\(claim)" }
        for seat in seats { claims[seat] = "\(user)|\(claim)" }
        take(seats)
        if !new.isEmpty { seq += 1 }
    }

    mutating func free(_ claim: String, _ seats: [String], now: Int64) {
        expire(now)
        freed.insert(claim)
        let gone = seats.filter { claims[$0]?.hasSuffix("|\(claim)") == true }
        for seat in gone { claims[seat] = nil }
        if !gone.isEmpty { seq += 1 }
    }

    mutating func block(_ isBlocked: Bool, _ seats: [String], now: Int64) {
        expire(now)
        let changed = seats.filter { isBlocked ? claims[$0] == nil : claims[$0] == "|blocked" }
        for seat in changed { claims[seat] = isBlocked ? "|blocked" : nil }
        if isBlocked { take(changed) }
        if !changed.isEmpty { seq += 1 }
    }

    /// Whoever holds these seats loses them.
    private mutating func take(_ seats: [String]) {
        for holder in holds.keys {
            holds[holder]?.seats.removeAll(where: seats.contains)
            if holds[holder]?.seats.isEmpty == true { holds[holder] = nil }
        }
    }
}
