import TestSupport

/// A waiting room's life, made up by a seed: people come, go, and come back; leaders choose, write, let in, and die between
/// any two of these; rules change; Redis is wiped; messages to it are lost.
///
/// The same seed gives the same history. Everything that happens to Redis is kept as a ``QueueStep``.
struct QueueWorld {
    private struct Leader: Sendable {
        var term: Int64
        var rules: LedgerModel.Rules?
        /// Given by a tick, not yet written.
        var chosen: (people: [RoomModel.Chosen], ended: Set<Int64>, at: Int64, epoch: Int64, passMs: Int64)?
        /// Written, not yet let in.
        var answers: (people: [RoomModel.Chosen], at: Int64)?
        var epoch: Int64
        /// Whether it told the books whom Redis had let in before its term.
        var hasNoted = false
    }

    private static let users = 7

    private(set) var steps: [QueueStep] = []
    let checker: QueueChecker
    private var random: SeededGenerator
    private var now: Int64 = 1_700_000_000_000
    private var ledger: LedgerModel
    private var room: RoomModel
    private var leaders: [Leader] = []
    private var current = 0
    /// Places that Redis let in and the books do not know of.
    private var lostNotes: Set<Int64> = []

    init(seed: UInt64, mutant: QueueMutant? = nil) {
        random = SeededGenerator(seed: seed)
        let rules = LedgerModel.Rules(
            maxActive: Int.random(in: 1...3, using: &random),
            ratePerMinute: [60, 120, 600].randomElement(using: &random) ?? 60,
            passMs: [2_000, 4_000, 8_000].randomElement(using: &random) ?? 2_000
        )
        ledger = LedgerModel(rules: rules, mutant: mutant)
        room = RoomModel(mutant: mutant)
        checker = QueueChecker(rules: rules)
        for _ in 0..<2 { leaders.append(Leader(term: ledger.nextTerm(), epoch: 1)) }
        current = 1
        let content = ledger.renew(clearing: false, now: now)
        room.load(content, now: now)
        steps.append(.load(content, now: now))
    }

    /// - Parameter stops: at the first broken promise.
    mutating func run(_ count: Int, stops: Bool = true) {
        while steps.count < count, !stops || checker.violations.isEmpty { step() }
    }

    private mutating func step() {
        switch Int.random(in: 0..<1_000, using: &random) {
        case 0..<250: now += [20, 50, 250, 250, 700, 1_500, 3_000, 6_000].randomElement(using: &random) ?? 0
        case 250..<480: stand()
        case 480..<600: join()
        case 600..<635: leave()
        case 635..<930: lead(Int.random(in: 0..<10, using: &random) == 0 ? 1 - current : current)
        case 930..<945: takeOver()
        case 945..<955: leaders[current] = Leader(term: ledger.nextTerm(), epoch: ledger.epoch)
        case 955..<985: changeRules()
        case 985..<995: wipe()
        default: clear()
        }
    }

    // MARK: People

    private mutating func stand() {
        let people = (0..<Self.users).filter { _ in Bool.random(using: &random) }
        guard let found = room.stand(people, now: now) else {
            steps.append(.stand(people, now: now, nil, nil))
            return restore()
        }
        steps.append(.stand(people, now: now, found.places, found.summary))
        for (user, place) in zip(people, found.places) { checker.told(user, place, now: now) }
    }

    private mutating func join() {
        let people = (0..<Self.users).shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random))
        let pairs = people.map { (user: $0, qseq: ledger.join($0)) }
        checker.books(ledger.entries)
        // The instance died after it told PostgreSQL, and nobody got an answer.
        if Int.random(in: 0..<25, using: &random) == 0 { return }
        let places = room.join(pairs, epoch: ledger.epoch, now: now)
        steps.append(.join(pairs, epoch: ledger.epoch, now: now, places))
        guard let places else { return restore() }
        for (pair, place) in zip(pairs, places) {
            if place == .stale {
                ledger.end(pair.qseq)
            } else {
                checker.told(pair.user, place, now: now, joining: true)
            }
        }
    }

    private mutating func leave() {
        let user = Int.random(in: 0..<Self.users, using: &random)
        let (ended, over) = ledger.leave(user)
        // The instance died, or lost Redis, in between.
        guard Int.random(in: 0..<8, using: &random) > 0 else { return checker.forgets(user, isSure: false) }
        let isKnown = room.leave(user, over: over, ended: ended)
        checker.forgets(user, isSure: true)
        steps.append(.leave(user, over: over, ended: ended, isKnown))
        if !isKnown { restore() }
    }

    // MARK: Leaders

    private mutating func lead(_ index: Int) {
        if let answers = leaders[index].answers {
            leaders[index].answers = nil
            // A write takes a moment.
            now += Int64.random(in: 0...20, using: &random)
            tick(index, answers.people, at: answers.at)
        } else if let chosen = leaders[index].chosen {
            leaders[index].chosen = nil
            now += Int64.random(in: 0...20, using: &random)
            let answers = ledger.admit(
                chosen.people,
                ended: chosen.ended,
                at: chosen.at,
                passMs: chosen.passMs,
                epoch: chosen.epoch
            )
            ledger.expire(upTo: chosen.at)
            if let answers, !answers.isEmpty { leaders[index].answers = (answers, chosen.at) }
        } else {
            if leaders[index].rules == nil || Int.random(in: 0..<3, using: &random) == 0 {
                leaders[index].rules = ledger.rules
            }
            tick(index, [], at: 0)
        }
    }

    private mutating func tick(_ index: Int, _ answers: [RoomModel.Chosen], at chosenAt: Int64) {
        guard let rules = leaders[index].rules else { return }
        let call = RoomModel.TickCall(
            epoch: leaders[index].epoch,
            term: leaders[index].term,
            rules: rules,
            answers: answers,
            chosenAt: chosenAt
        )
        let result = room.tick(call, now: now)
        steps.append(.tick(call, now: now, result))
        switch result {
        case .rebuild:
            restore()
            leaders[index].epoch = ledger.epoch
        case .fenced:
            leaders[index] = Leader(term: leaders[index].term, epoch: leaders[index].epoch)
        case .done(let result):
            if result.rulesAreOld { leaders[index].rules = nil }
            let line = ledger.entries.enumerated().filter { $1.state == .waiting }.map {
                (user: $1.user, qseq: Int64($0) + 1)
            }
            checker.ticked(call, result, line: line, now: now)
            note(index, result.letIn)
            if answers.isEmpty, !result.admitting.isEmpty || !result.ended.isEmpty {
                let epoch = leaders[index].epoch
                leaders[index].chosen = (result.admitting, result.ended, now, epoch, rules.passMs)
            }
        }
    }

    /// The leader may die before it has told the books whom it let in; then the next one does.
    ///
    /// Redis is not wiped between the two: the death of a leader at this very moment, and the loss of Redis before the next
    /// one has written, may let somebody in once more, or make a place worse. `docs/adr/0021` says so.
    private mutating func note(_ index: Int, _ letIn: [RoomModel.Chosen]) {
        if !leaders[index].hasNoted {
            ledger.note(letIn: room.passPlaces.values)
            leaders[index].hasNoted = true
        }
        if !letIn.isEmpty, Int.random(in: 0..<20, using: &random) == 0 {
            leaders[index] = Leader(term: ledger.nextTerm(), epoch: leaders[index].epoch)
            current = index
            lostNotes.formUnion(letIn.map(\.qseq))
        } else {
            ledger.note(letIn: letIn.map(\.qseq))
        }
    }

    /// The other one leads from now on; the one before is stopped, and may go on at any time.
    private mutating func takeOver() {
        current = 1 - current
        leaders[current] = Leader(term: ledger.nextTerm(), epoch: ledger.epoch)
    }

    private mutating func changeRules() {
        var rules = ledger.rules
        let wasPaused = rules.isPaused
        switch Int.random(in: 0..<4, using: &random) {
        case 0: rules.maxActive = Int.random(in: 1...3, using: &random)
        case 1: rules.ratePerMinute = [60, 120, 600].randomElement(using: &random) ?? 60
        default: rules.isPaused.toggle()
        }
        rules.version += 1
        ledger.rules = rules
        let unpaused = wasPaused && !rules.isPaused
        room.announce(rules: rules.version, unpaused: unpaused, now: now)
        steps.append(.announce(rules.version, unpaused: unpaused, now: now))
        checker.answered(rules, now: now)
    }

    // MARK: Loss

    private mutating func wipe() {
        lostNotes = lostNotes.filter { place in
            let entry = ledger.entries[Int(place) - 1]
            return entry.state == .admitted && !entry.isLetIn
        }
        guard lostNotes.isEmpty else { return }
        room.wipe()
        steps.append(.wipe)
        checker.wiped()
    }

    private mutating func clear() {
        room.end()
        steps.append(.claim(now: now))
        load(clearing: true)
        checker.lineCleared()
    }

    /// As whoever finds the queue gone does it.
    private mutating func restore() {
        guard room.epoch == nil else { return }
        room.end()
        steps.append(.claim(now: now))
        load(clearing: false)
    }

    private mutating func load(clearing: Bool) {
        ledger.note(letIn: room.passPlaces.values)
        let content = ledger.renew(clearing: clearing, now: now)
        room.load(content, now: now)
        steps.append(.load(content, now: now))
        checker.loaded(room.passes, now: now)
    }
}
