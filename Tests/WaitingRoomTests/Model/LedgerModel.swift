/// PostgreSQL's part of the waiting room, as plain Swift: who has which place, for good, and what became of it.
struct LedgerModel: Sendable {
    enum State: Sendable { case waiting, admitted, expired, left, cleared }

    struct Entry: Sendable {
        var user: Int
        var state: State
        var expiresAt: Int64 = 0
        /// Redis let them in, and so they may know of their pass.
        var isLetIn = false
    }

    struct Rules: Sendable, Equatable {
        var version: Int64 = 1
        var maxActive: Int
        var ratePerMinute: Int
        var isPaused = false
        var passMs: Int64
    }

    struct Content: Sendable {
        var epoch: Int64
        var waiting: [(user: Int, qseq: Int64)]
        var passes: [(user: Int, qseq: Int64, expiresAt: Int64)]
        var nextQseq: Int64
        var lastAdmitted: Int64?
        var admittedTotal: Int
        var rulesVersion: Int64
        var term: Int64
        var cleared: Int
    }

    /// By qseq − 1.
    private(set) var entries: [Entry] = []
    private(set) var epoch: Int64 = 1
    var rules: Rules
    private var lastTerm: Int64 = 0
    private var lastAdmitted: Int64?
    private var admittedTotal = 0
    private let mutant: QueueMutant?

    init(rules: Rules, mutant: QueueMutant?) {
        self.rules = rules
        self.mutant = mutant
    }

    func place(of user: Int) -> Int64? {
        entries.lastIndex { $0.user == user && ($0.state == .waiting || $0.state == .admitted) }.map { Int64($0) + 1 }
    }

    mutating func nextTerm() -> Int64 {
        lastTerm += 1
        return lastTerm
    }

    mutating func join(_ user: Int) -> Int64 {
        if let place = place(of: user) {
            guard mutant == .joinCostsThePlace, entries[Int(place) - 1].state == .waiting else { return place }
            entries[Int(place) - 1].state = .left
        }
        entries.append(Entry(user: user, state: .waiting))
        return Int64(entries.count)
    }

    mutating func leave(_ user: Int) -> (ended: Int64, over: Int64) {
        let place = place(of: user)
        if let place { entries[Int(place) - 1].state = .left }
        let over = entries.lastIndex { $0.user == user && $0.state != .waiting && $0.state != .admitted }
        return (place ?? 0, over.map { Int64($0) + 1 } ?? 0)
    }

    /// Redis says that a pass ended.
    mutating func end(_ qseq: Int64) {
        let state = entries[Int(qseq) - 1].state
        if state == .waiting || state == .admitted { entries[Int(qseq) - 1].state = .expired }
    }

    mutating func admit(
        _ chosen: [RoomModel.Chosen],
        ended: Set<Int64>,
        at now: Int64,
        passMs: Int64,
        epoch: Int64
    ) -> [RoomModel.Chosen]? {
        guard epoch == self.epoch else { return nil }
        for place in ended { end(place) }
        return chosen.map { chosen in
            let index = Int(chosen.qseq) - 1
            // Only a mutant asks for places that were never given.
            guard entries.indices.contains(index) else { return chosen }
            guard entries[index].state == .waiting || entries[index].state == .admitted else { return chosen }
            if entries[index].state == .waiting {
                lastAdmitted = max(lastAdmitted ?? now, now)
                admittedTotal += 1
            }
            entries[index].state = .admitted
            entries[index].expiresAt = max(entries[index].expiresAt, now + passMs)
            return RoomModel.Chosen(user: chosen.user, qseq: chosen.qseq, expiresAt: entries[index].expiresAt)
        }
    }

    mutating func note(letIn places: some Sequence<Int64>) {
        for place in places where entries.indices.contains(Int(place) - 1) { entries[Int(place) - 1].isLetIn = true }
    }

    mutating func expire(upTo now: Int64) {
        for index in entries.indices where entries[index].state == .admitted && entries[index].expiresAt <= now {
            if entries[index].isLetIn || mutant == .unheardPassesEnd { entries[index].state = .expired }
        }
    }

    mutating func renew(clearing: Bool, now: Int64) -> Content {
        var cleared = 0
        if clearing {
            for index in entries.indices where entries[index].state == .waiting {
                entries[index].state = .cleared
                cleared += 1
            }
        }
        if mutant == .rebuildByName { reorderByName() }
        letInAnew(now)
        epoch += 1
        var content = Content(
            epoch: epoch,
            waiting: [],
            passes: [],
            nextQseq: Int64(entries.count) + 1,
            lastAdmitted: lastAdmitted,
            admittedTotal: admittedTotal,
            rulesVersion: rules.version,
            term: lastTerm,
            cleared: cleared
        )
        for (index, entry) in entries.enumerated() {
            switch entry.state {
            case .waiting: content.waiting.append((entry.user, Int64(index) + 1))
            case .admitted where mutant != .rebuildWithoutPasses:
                content.passes.append((entry.user, Int64(index) + 1, entry.expiresAt))
            default: continue
            }
        }
        return content
    }

    /// Who was written down and perhaps never told is let in for the whole time, within the limit; others wait again.
    private mutating func letInAnew(_ now: Int64) {
        let admitted = entries.indices.filter { entries[$0].state == .admitted }
        var taken = admitted.count { entries[$0].isLetIn && entries[$0].expiresAt > now }
        let unheard = admitted.filter { !entries[$0].isLetIn }
        for index in unheard.filter({ entries[$0].expiresAt > now }) + unheard.filter({ entries[$0].expiresAt <= now })
        {
            guard taken < rules.maxActive else {
                entries[index].state = .waiting
                entries[index].expiresAt = 0
                continue
            }
            taken += 1
            entries[index].isLetIn = true
            entries[index].expiresAt = max(entries[index].expiresAt, now + rules.passMs)
        }
    }

    private mutating func reorderByName() {
        let waiting = entries.indices.filter { entries[$0].state == .waiting }
        for (index, user) in zip(waiting, waiting.map { entries[$0].user }.sorted()) { entries[index].user = user }
    }
}
