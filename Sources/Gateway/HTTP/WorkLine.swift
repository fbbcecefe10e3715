import NIOCore

/// Who is worked for and who stands in line: a few at once, the others in the order in which they came, buyers in front.
///
/// A few, because whoever is worked for passes several steps, and each step has one line for all: with thousands in them
/// all are done late, instead of some soon. In line, because that is where somebody can still be refused before anything
/// was done for them.
///
/// The line may grow for ``Bounds/patience``: a rush that is over soon, such as thousands who are let in at one moment, is
/// only a short wait. One that lasts may be as long as what was done within the last second, so that whoever is let into it
/// waits for about that long; others are refused when they come.
///
/// Pure: told the time, it answers what is to happen.
struct WorkLine {
    typealias ID = UInt64

    enum Kind: CaseIterable {
        /// Seats and orders: what people were let in for. They go first, seven times in eight, and only their own line is
        /// too long for them.
        case sale
        /// Looks, joins, and all that is nothing else.
        case arrival
    }

    struct Bounds {
        /// At work and in either line, once it lasts.
        var most: Int
        /// So many times ``most`` until then.
        var rush = 8
        /// How long a line may be there before its length is looked at.
        var patience = Duration.milliseconds(500)
        /// How long anybody stands in line: longer only if next to nothing is done, and then they are refused.
        var longest = Duration.seconds(5)

        /// Worked for at once. Enough for a group that asks the stores together and the next that gathers meanwhile.
        var places: Int { min(512, most) }
    }

    enum Entrance: Equatable {
        case works(ID)
        case waits(ID)
        case refused
    }

    enum Turn: Equatable {
        case works(ID)
        case refused(ID)
    }

    private enum Place {
        case works
        case waits(Kind)
    }

    private struct Waiting {
        let id: ID
        let since: ContinuousClock.Instant
    }

    let bounds: Bounds
    private(set) var working = 0
    private var places: [ID: Place] = [:]
    /// Those who have left remain in them until their turn.
    private var lines: [Kind: CircularBuffer<Waiting>] = [:]
    private var waitingOf: [Kind: Int] = [:]
    private var nextID: ID = 0
    private var turns = 0
    /// Every so many turns somebody who comes goes before those who buy, so that buyers alone cannot shut the door.
    private static let turnOfArrivals = 8
    /// Since when somebody has been in line without a break.
    private var crowdedSince: ContinuousClock.Instant?
    /// What was done in the second that began at `secondSince`, and in the one before.
    private var done = 0
    private var doneBefore = 0
    private var secondSince: ContinuousClock.Instant?

    init(_ bounds: Bounds) {
        self.bounds = bounds
    }

    var waiting: Int { waitingOf.values.reduce(0, +) }

    // MARK: Coming and going

    /// Whether there is too much to do for somebody new.
    mutating func isFull(_ kind: Kind, now: ContinuousClock.Instant) -> Bool {
        guard working >= bounds.places else { return false }
        let line = kind == .sale ? waitingOf[.sale, default: 0] : waiting
        return line >= room(now)
    }

    mutating func enter(_ kind: Kind, now: ContinuousClock.Instant) -> Entrance {
        if working < bounds.places {
            let id = newID()
            places[id] = .works
            working += 1
            return .works(id)
        }
        guard !isFull(kind, now: now) else { return .refused }
        let id = newID()
        places[id] = .waits(kind)
        lines[kind, default: []].append(Waiting(id: id, since: now))
        waitingOf[kind, default: 0] += 1
        if crowdedSince == nil { crowdedSince = now }
        return .waits(id)
    }

    /// Somebody is done, or has gone out of the line. Nothing happens to who was refused.
    ///
    /// - Returns: whose turn it is now.
    mutating func leave(_ id: ID, now: ContinuousClock.Instant) -> [Turn] {
        switch places.removeValue(forKey: id) {
        case .works:
            working -= 1
            countDone(now)
            return advance(now)
        case .waits(let kind):
            goes(from: kind)
            return []
        case nil:
            return []
        }
    }

    /// Refuses those who have stood in line for too long; for when nothing is done that would bring them their turn.
    mutating func tick(now: ContinuousClock.Instant) -> [Turn] {
        var refused: [Turn] = []
        for kind in Kind.allCases {
            while let first = lines[kind]?.first, places[first.id] == nil || now - first.since > bounds.longest {
                lines[kind]?.removeFirst()
                guard places.removeValue(forKey: first.id) != nil else { continue }
                goes(from: kind)
                refused.append(.refused(first.id))
            }
        }
        return refused
    }

    private mutating func advance(_ now: ContinuousClock.Instant) -> [Turn] {
        var decided = tick(now: now)
        while working < bounds.places, let (kind, next) = popNext() {
            places[next.id] = .works
            goes(from: kind)
            working += 1
            decided.append(.works(next.id))
        }
        return decided
    }

    private mutating func popNext() -> (Kind, Waiting)? {
        turns += 1
        for kind in turns % Self.turnOfArrivals == 0 ? [.arrival, .sale] : Kind.allCases {
            while let next = lines[kind]?.popFirst() {
                if places[next.id] != nil { return (kind, next) }
            }
        }
        return nil
    }

    private mutating func goes(from kind: Kind) {
        waitingOf[kind, default: 0] -= 1
        if waiting == 0 { crowdedSince = nil }
    }

    private mutating func newID() -> ID {
        nextID += 1
        return nextID
    }

    // MARK: How long the line may be

    private mutating func room(_ now: ContinuousClock.Instant) -> Int {
        guard let crowdedSince, now - crowdedSince >= bounds.patience else {
            return bounds.rush * bounds.most - bounds.places
        }
        turnSecond(now)
        let withinASecond = max(done, doneBefore, bounds.places)
        return min(bounds.most - bounds.places, withinASecond)
    }

    private mutating func countDone(_ now: ContinuousClock.Instant) {
        turnSecond(now)
        done += 1
    }

    private mutating func turnSecond(_ now: ContinuousClock.Instant) {
        if let secondSince, now - secondSince < .seconds(1) { return }
        let isNext = secondSince.map { now - $0 < .seconds(2) } ?? false
        (doneBefore, done, secondSince) = (isNext ? done : 0, 0, now)
    }
}
