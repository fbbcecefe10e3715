/// Decides from what people were told, and from what leaders did, whether the promises of the waiting room were kept.
///
/// It knows nothing of how the rules work: it keeps its own books, of answers.
final class QueueChecker {
    private struct Told: Sendable {
        var qseq: Int64
        var ahead: Int
    }

    private struct Choice: Sendable {
        var user: Int
        var at: Int64
        /// Time until then in which the queue was not paused.
        var unpaused: Int64
    }

    private(set) var violations: [String] = []
    private var told: [Int: Told] = [:]
    /// Passes that people know of.
    private var passes: [Int: Int64] = [:]
    /// Last sign of presence that reached this life of Redis, by user, and at which place.
    private var signs: [Int: (at: Int64, qseq: Int64)] = [:]
    private var beingAdmitted: Set<Int> = []
    /// Their leaving was answered by an error: it may have counted or not, until they join again.
    private var unsure: Set<Int> = []
    private var choices: [Choice] = []
    private var answered: LedgerModel.Rules
    private var pausedSince: Int64?
    private var pausedTotal: Int64 = 0
    private var lastTerm: Int64 = 0
    private var largestMaxActive: Int
    private(set) var admissions = 0

    init(rules: LedgerModel.Rules) {
        answered = rules
        largestMaxActive = rules.maxActive
    }

    private func require(_ holds: Bool, _ text: @autoclosure () -> String) {
        if !holds { violations.append(text()) }
    }

    // MARK: What people are told

    func told(_ user: Int, _ place: RoomModel.Place, now: Int64, joining: Bool = false) {
        if case .waiting(let qseq, _) = place { signs[user] = (now, qseq) }
        if joining { unsure.remove(user) }
        guard !unsure.contains(user) else { return }
        if let until = passes[user], now < until {
            // A rebuild may give a pass its whole time anew: never less of it.
            var isKept = false
            if case .admitted(let later) = place { isKept = later >= until }
            require(isKept, "user \(user) had a pass until \(until), at \(now) it is \(place)")
            if case .admitted(let later) = place { passes[user] = later }
        }
        switch place {
        case .waiting(let qseq, let ahead):
            if let before = told[user] {
                require(before.qseq == qseq, "user \(user) had place \(before.qseq), and was given \(qseq)")
                require(ahead <= before.ahead, "user \(user) had \(before.ahead) ahead, and then \(ahead)")
            }
            told[user] = Told(qseq: qseq, ahead: ahead)
        case .admitted(let until):
            require(now < until, "user \(user) is let in until \(until), which is over at \(now)")
            if passes[user] == nil { passes[user] = until }
            told[user] = nil
        case .none, .stale:
            require(told[user] == nil, "user \(user) had place \(told[user]?.qseq ?? 0), and has none at \(now)")
        }
        if let until = passes[user], until <= now { passes[user] = nil }
    }

    /// The person left, or the line was cleared: nothing that they were told binds any more.
    func forgets(_ user: Int, isSure: Bool) {
        told[user] = nil
        passes[user] = nil
        guard isSure else {
            unsure.insert(user)
            return
        }
        signs[user] = nil
        forgetChoice(of: user)
    }

    /// It let nobody in.
    private func forgetChoice(of user: Int) {
        guard beingAdmitted.remove(user) != nil else { return }
        if let last = choices.lastIndex(where: { $0.user == user }) { choices.remove(at: last) }
    }

    func lineCleared() {
        told = [:]
    }

    func wiped() {
        signs = [:]
    }

    /// A new life begins. Who was only chosen is in line again, as if it had not been; who was written down is let in, and
    /// is told as soon as they look.
    func loaded(_ live: [Int: Int64], now: Int64) {
        for user in beingAdmitted where live[user] == nil { forgetChoice(of: user) }
        beingAdmitted = []
        for (user, until) in live where !unsure.contains(user) && until > now {
            told[user] = nil
            passes[user] = max(until, passes[user] ?? 0)
        }
        let good = live.values.count { $0 > now }
        require(good <= largestMaxActive, "\(good) passes after a rebuild, \(largestMaxActive) allowed")
    }

    // MARK: What leaders do

    /// A change of the rules has been answered.
    func answered(_ rules: LedgerModel.Rules, now: Int64) {
        if rules.ratePerMinute != answered.ratePerMinute { choices = [] }
        if rules.isPaused, pausedSince == nil { pausedSince = now }
        if !rules.isPaused, let since = pausedSince {
            pausedTotal += now - since
            pausedSince = nil
        }
        largestMaxActive = max(largestMaxActive, rules.maxActive)
        answered = rules
    }

    func ticked(
        _ call: RoomModel.TickCall,
        _ result: RoomModel.TickResult,
        line: [(user: Int, qseq: Int64)],
        now: Int64
    ) {
        require(call.term >= lastTerm, "a leader of term \(call.term) ticked after one of term \(lastTerm)")
        lastTerm = max(lastTerm, call.term)
        largestMaxActive = max(largestMaxActive, call.rules.maxActive)
        chose(result.chosenNow, call.rules, line, now)
        for entry in result.letIn { letIn(entry, call.rules, now) }
        // Places that were over in the books: their choice let nobody in.
        for answer in call.answers where answer.expiresAt == 0 { forgetChoice(of: answer.user) }
    }

    private func chose(
        _ chosen: [RoomModel.Chosen],
        _ rules: LedgerModel.Rules,
        _ line: [(user: Int, qseq: Int64)],
        _ now: Int64
    ) {
        guard !chosen.isEmpty else { return }
        require(!rules.isPaused && rules.version >= answered.version, "chosen by rules that are over, at \(now)")
        for one in chosen {
            let isThere = signs[one.user].map { now - $0.at <= 5_000 } ?? false
            require(isThere, "user \(one.user) was chosen at \(now), and was not there")
            beingAdmitted.insert(one.user)
        }
        for other in line where !beingAdmitted.contains(other.user) {
            guard let sign = signs[other.user], sign.qseq == other.qseq, now - sign.at <= 5_000 else { continue }
            let overtaker = chosen.first { $0.qseq > other.qseq }
            require(overtaker == nil, "user \(other.user) at \(other.qseq) was overtaken by \(overtaker?.qseq ?? 0)")
        }
        let unpaused = now - pausedTotal - (pausedSince.map { now - $0 } ?? 0)
        choices += chosen.map { Choice(user: $0.user, at: now, unpaused: unpaused) }
        let capacity = max(1, Double(rules.ratePerMinute) / 60)
        guard rules.ratePerMinute == answered.ratePerMinute else { return choices = [] }
        for (index, first) in choices.enumerated() {
            let allowed = capacity + Double(unpaused - first.unpaused) * Double(rules.ratePerMinute) / 60_000
            require(
                Double(choices.count - index) <= allowed + 0.001,
                "\(choices.count - index) chosen from \(first.at) to \(now), the rate allows \(allowed)"
            )
        }
        if choices.count > 60 { choices.removeFirst(choices.count - 60) }
    }

    private func letIn(_ entry: RoomModel.Chosen, _ rules: LedgerModel.Rules, _ now: Int64) {
        admissions += 1
        require(!rules.isPaused && rules.version >= answered.version, "let in by rules that are over, at \(now)")
        passes = passes.filter { $0.value > now }
        require(passes[entry.user] == nil, "user \(entry.user) was let in twice at \(now)")
        require(
            passes.count < rules.maxActive,
            "user \(entry.user) is let in beside \(passes.count), \(rules.maxActive) allowed"
        )
        let left = entry.expiresAt - now
        require(
            left > rules.passMs - 1_001 && left <= rules.passMs,
            "user \(entry.user) is let in for \(left) ms of \(rules.passMs)"
        )
        if !unsure.contains(entry.user) { passes[entry.user] = entry.expiresAt }
        told[entry.user] = nil
        beingAdmitted.remove(entry.user)
    }

    func books(_ entries: [LedgerModel.Entry]) {
        var live: Set<Int> = []
        for entry in entries where entry.state == .waiting || entry.state == .admitted {
            require(live.insert(entry.user).inserted, "user \(entry.user) has two places")
        }
    }
}
