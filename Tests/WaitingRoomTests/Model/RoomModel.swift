import Foundation

/// Redis' part of the waiting room, as plain Swift: what the scripts mean.
///
/// No I/O and no clock: the time is passed in. A test runs it beside the scripts, which must answer the same; another one
/// plays it with faults, and checks what people were told.
struct RoomModel: Sendable {
    struct Chosen: Sendable, Equatable {
        var user: Int
        var qseq: Int64
        /// 0: the place is over.
        var expiresAt: Int64 = 0
    }

    enum Place: Sendable, Equatable {
        case none, stale
        case waiting(qseq: Int64, ahead: Int)
        case admitted(until: Int64)
    }

    struct Summary: Sendable, Equatable {
        var waiting: Int
        var active: Int
        var admittedTotal: Int
    }

    struct TickResult: Sendable, Equatable {
        /// Places, in no order.
        var ended: Set<Int64> = []
        var active = 0
        var waiting = 0
        var rulesAreOld = false
        var admitting: [Chosen] = []
        /// For the checker alone: who was chosen now, and who was let in.
        var chosenNow: [Chosen] = []
        var letIn: [Chosen] = []
    }

    enum Tick: Sendable, Equatable {
        case done(TickResult)
        case rebuild, fenced
    }

    struct TickCall: Sendable {
        var epoch: Int64
        var term: Int64
        var rules: LedgerModel.Rules
        var answers: [Chosen] = []
        var chosenAt: Int64 = 0
    }

    static let awayMs: Int64 = 5_000
    static let lateMs: Int64 = 1_000
    static let holdMs: Int64 = 3_000

    private(set) var epoch: Int64?
    private var waiting: [Int: Int64] = [:]
    private var away: [Int: Int64] = [:]
    private var admitting: [Int: Int64] = [:]
    private var seen: [Int: Int64] = [:]
    private(set) var passes: [Int: Int64] = [:]
    private(set) var passPlaces: [Int: Int64] = [:]
    private var gone: Set<Int64> = []
    private var maxQseq: Int64 = 0
    /// Millionths; nil for a full bucket.
    private var tokens: Int64?
    private var filledAt: Int64 = 0
    private var holdUntil: Int64 = 0
    private var admittedTotal = 0
    private var term: Int64 = 0
    private var rulesVersion: Int64 = 0
    private let mutant: QueueMutant?

    init(mutant: QueueMutant?) {
        self.mutant = mutant
    }

    // MARK: People

    /// - Returns: nil when this life of Redis is too old.
    mutating func join(_ pairs: [(user: Int, qseq: Int64)], epoch needed: Int64, now: Int64) -> [Place]? {
        guard let epoch, epoch >= needed else { return nil }
        return pairs.map { user, qseq in
            if let place = passPlaces[user] {
                if (passes[user] ?? 0) <= now || qseq > place { endPass(user) }
            }
            // The latest place is the one that counts: an earlier one was given up.
            if let place = waiting[user] ?? away[user] ?? admitting[user], place < qseq {
                (waiting[user], away[user], admitting[user]) = (nil, nil, nil)
                gone.insert(place)
            }
            if passPlaces[user] != nil { return placeNow(of: user, now) }
            if gone.contains(qseq) { return .stale }
            maxQseq = max(maxQseq, qseq)
            if let place = waiting[user] ?? away[user] ?? admitting[user] {
                if place > qseq { gone.insert(qseq) }
            } else {
                waiting[user] = qseq
            }
            touch(user, now)
            return placeNow(of: user, now)
        }
    }

    mutating func stand(_ users: [Int], now: Int64) -> (places: [Place], summary: Summary)? {
        guard epoch != nil else { return nil }
        let places = users.map { user in
            let place = placeNow(of: user, now)
            if case .waiting = place { touch(user, now) }
            return place
        }
        return (places, summary(now))
    }

    mutating func leave(_ user: Int, over: Int64, ended: Int64) -> Bool {
        guard epoch != nil else { return false }
        let place = waiting[user] ?? away[user] ?? admitting[user] ?? 0
        if place > 0, place <= over {
            waiting[user] = nil
            away[user] = nil
            admitting[user] = nil
            seen[user] = nil
        }
        if let pass = passPlaces[user], pass <= over, mutant != .leavingKeepsTheSlot { endPass(user) }
        for place in [place <= over ? place : 0, ended] where place > 0 {
            maxQseq = max(maxQseq, place)
            gone.insert(place)
        }
        return true
    }

    func summary(_ now: Int64) -> Summary {
        Summary(
            waiting: max(0, Int(maxQseq) - gone.count),
            active: passes.values.count { $0 > now },
            admittedTotal: admittedTotal
        )
    }

    // MARK: Admission

    mutating func announce(rules version: Int64, unpaused: Bool, now: Int64) {
        rulesVersion = max(rulesVersion, version)
        if unpaused, filledAt > 0, mutant != .bucketFillsWhilePaused { filledAt = now }
    }

    mutating func tick(_ call: TickCall, now: Int64) -> Tick {
        guard epoch == call.epoch else { return .rebuild }
        guard call.term >= term || mutant == .noFence else { return .fenced }
        var result = TickResult()
        result.rulesAreOld = call.rules.version < rulesVersion
        rulesVersion = max(rulesVersion, call.rules.version)
        let admits = !call.rules.isPaused && (!result.rulesAreOld || mutant == .oldRulesCount)
        term = call.term
        for user in passes.keys where passes[user, default: 0] <= now {
            if let place = passPlaces[user] { result.ended.insert(place) }
            endPass(user)
        }
        let isInTime = now - call.chosenAt <= Self.lateMs || mutant == .lateAnswersCount
        for answer in call.answers where admitting[answer.user] == answer.qseq {
            let hasSlot = passes.count < call.rules.maxActive || mutant == .choiceHoldsNoSlot
            let goesIn = admits && isInTime && hasSlot
            guard answer.expiresAt == 0 || goesIn else { continue }
            admitting[answer.user] = nil
            seen[answer.user] = nil
            gone.insert(answer.qseq)
            if answer.expiresAt > 0, goesIn { letIn(answer, &result) }
        }
        fill(call.rules, admits: admits, now)
        if admits, call.answers.isEmpty, !(1...60_000).contains(holdUntil - now) { choose(call.rules, now, &result) }
        result.active = passes.count
        result.waiting = summary(now).waiting
        let taken = mutant == .choiceHoldsNoSlot ? 0 : passes.count
        let writable = admits ? max(0, call.rules.maxActive - taken) : 0
        result.admitting = admitting.sorted { $0.value < $1.value }.prefix(writable).map {
            Chosen(user: $0.key, qseq: $0.value)
        }
        return .done(result)
    }

    private mutating func fill(_ rules: LedgerModel.Rules, admits: Bool, _ now: Int64) {
        let capacity = Int64(max(1_000_000, rules.ratePerMinute * 1_000_000 / 60))
        var level = tokens ?? capacity
        if admits || mutant == .bucketFillsWhilePaused, filledAt > 0, now > filledAt {
            level += (now - filledAt) * Int64(rules.ratePerMinute) * 1_000_000 / 60_000
        }
        tokens = mutant == .bucketWithoutBrim ? level : min(level, capacity)
        filledAt = now
    }

    private mutating func choose(_ rules: LedgerModel.Rules, _ now: Int64, _ result: inout TickResult) {
        let held = mutant == .choiceHoldsNoSlot ? 0 : admitting.count
        var left = min(max(0, rules.maxActive - passes.count - held), Int((tokens ?? 0) / 1_000_000))
        let line = waiting.sorted { mutant == .lastFirst ? $0.value > $1.value : $0.value < $1.value }
        for (user, qseq) in line where left > 0 {
            let isThere = now - (seen[user] ?? -Self.awayMs - 1) <= Self.awayMs || mutant == .admitsTheAbsent
            waiting[user] = nil
            guard isThere else {
                seen[user] = nil
                away[user] = qseq
                continue
            }
            left -= 1
            tokens = (tokens ?? 0) - 1_000_000
            let chosen = Chosen(user: user, qseq: qseq, expiresAt: now + rules.passMs)
            result.chosenNow.append(chosen)
            if mutant == .announcedBeforeTheBooks {
                gone.insert(qseq)
                letIn(chosen, &result)
            }
            admitting[user] = qseq
        }
    }

    private mutating func letIn(_ chosen: Chosen, _ result: inout TickResult) {
        passes[chosen.user] = chosen.expiresAt
        passPlaces[chosen.user] = chosen.qseq
        admittedTotal += 1
        result.letIn.append(chosen)
    }

    // MARK: Loss

    mutating func wipe() { self = RoomModel(mutant: mutant) }

    /// As a claim does it: this life is over, and what is in it is forgotten by the load that follows.
    mutating func end() { epoch = nil }

    mutating func load(_ content: LedgerModel.Content, now: Int64) {
        guard epoch == nil else { return }
        let (seen, term, rules, bucket) = (seen, term, rulesVersion, (tokens: tokens, filledAt: filledAt))
        wipe()
        self.seen = seen
        rulesVersion = max(rules, content.rulesVersion)
        self.term = max(term, content.term)
        epoch = content.epoch
        for (user, qseq) in content.waiting { waiting[user] = qseq }
        for pass in content.passes {
            passes[pass.user] = pass.expiresAt
            passPlaces[pass.user] = pass.qseq
        }
        let stays = Set(content.waiting.map(\.qseq))
        gone = Set((1..<max(1, content.nextQseq)).filter { !stays.contains($0) })
        maxQseq = content.nextQseq - 1
        if bucket.filledAt > 0 {
            (tokens, filledAt) = bucket
        } else if content.lastAdmitted != nil {
            (tokens, filledAt) = (0, now)
        }
        let waits = content.epoch > 1 && !content.waiting.isEmpty && seen.isEmpty
        holdUntil = waits ? now + Self.holdMs : 0
        admittedTotal = content.admittedTotal
    }

    // MARK: Rules used by all

    private func placeNow(of user: Int, _ now: Int64) -> Place {
        if let until = passes[user], until > now || mutant == .passesEndAtTicks { return .admitted(until: until) }
        guard let qseq = waiting[user] ?? away[user] ?? admitting[user] else { return .none }
        return .waiting(qseq: qseq, ahead: max(0, Int(qseq) - 1 - gone.count { $0 < qseq }))
    }

    private mutating func touch(_ user: Int, _ now: Int64) {
        if let qseq = away.removeValue(forKey: user) {
            if mutant == .returnCostsThePlace { maxQseq += 1 }
            waiting[user] = mutant == .returnCostsThePlace ? maxQseq : qseq
        }
        seen[user] = now
    }

    private mutating func endPass(_ user: Int) {
        passes[user] = nil
        passPlaces[user] = nil
    }
}
