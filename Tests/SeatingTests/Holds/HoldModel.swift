/// The rules of holds in Swift, without Redis: what the scripts must mean.
struct HoldModel: Equatable {
    struct Hold: Equatable {
        var seats: Set<String>
        var expiresMs: Int64
        var fence: Int64
        var extensions = 0
    }

    var holds: [String: Hold] = [:]
    var claims: [String: String] = [:]  // seat → user|claim
    var freed: Set<String> = []
    var fence: Int64 = 0
    var seq: Int64 = 0
    let holdMs: Int64
    let maxSeats: Int

    mutating func expire(_ now: Int64) {
        for (user, hold) in holds where hold.expiresMs <= now {
            holds[user] = nil
            seq += 1
        }
    }

    private func claimed(_ user: String) -> Int { claims.values.filter { $0.hasPrefix("\(user)|") }.count }
    private func isTaken(_ seat: String, but user: String) -> Bool {
        claims[seat] != nil || holds.contains { $0.key != user && $0.value.seats.contains(seat) }
    }

    mutating func choose(_ user: String, _ wanted: Set<String>, exact: Bool, open: Bool, now: Int64) -> String {
        expire(now)
        let held = holds[user]?.seats ?? []
        let added = wanted.subtracting(held)
        let dropped = exact ? held.subtracting(wanted) : []
        if !added.isEmpty {
            if !open { return "CLOSED" }
            if claimed(user) + held.count - dropped.count + added.count > maxSeats { return "LIMIT" }
            if added.contains(where: { isTaken($0, but: user) }) { return "UNAVAILABLE" }
        }
        if !dropped.isEmpty { seq += 1 }
        guard !added.isEmpty else {
            holds[user]?.seats.subtract(dropped)
            if holds[user]?.seats.isEmpty == true { holds[user] = nil }
            return "OK"
        }
        fence += 1
        seq += 1
        var hold = holds[user] ?? Hold(seats: [], expiresMs: now + holdMs, fence: 0)
        hold.seats = held.subtracting(dropped).union(added)
        hold.fence = fence
        holds[user] = hold
        return "OK"
    }

    mutating func release(_ user: String, _ seats: Set<String>?, now: Int64) {
        expire(now)
        guard let hold = holds[user] else { return }
        let gone = seats.map { hold.seats.intersection($0) } ?? hold.seats
        if !gone.isEmpty { seq += 1 }
        holds[user]?.seats.subtract(gone)
        if holds[user]?.seats.isEmpty == true { holds[user] = nil }
    }

    mutating func extend(_ user: String, limit: Int, now: Int64) -> String {
        expire(now)
        guard let hold = holds[user] else { return "NOTHING" }
        guard hold.extensions < limit else { return "LIMIT" }
        holds[user]?.extensions += 1
        holds[user]?.expiresMs += holdMs
        return "OK"
    }

    mutating func reserve(_ user: String, _ claim: String, _ seats: Set<String>, now: Int64) {
        expire(now)
        if freed.contains(claim) { return }
        let new = seats.filter { claims[$0] != "\(user)|\(claim)" }
        for seat in seats { claims[seat] = "\(user)|\(claim)" }
        for holder in holds.keys {
            holds[holder]?.seats.subtract(seats)
            if holds[holder]?.seats.isEmpty == true { holds[holder] = nil }
        }
        if !new.isEmpty { seq += 1 }
    }

    mutating func free(_ claim: String, _ seats: Set<String>, now: Int64) {
        expire(now)
        freed.insert(claim)
        let gone = seats.filter { claims[$0]?.hasSuffix("|\(claim)") == true }
        for seat in gone { claims[seat] = nil }
        if !gone.isEmpty { seq += 1 }
    }
}
