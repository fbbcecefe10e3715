import Events
import HoldfastCore

/// What an instance knows about one event's queue and its own people in it. No I/O, no clock.
///
/// Ticks move it forward; looks at Redis correct it. Neither can make a position worse: the ledger only grows, and what
/// a person was told last is remembered, by a notice as well as by an answer.
struct FeedRoom: Sendable {
    /// The best position that somebody was told of a place.
    struct Told: Sendable {
        let qseq: Int64
        var position: Int
    }

    struct Watched: Sendable {
        var sockets = 1
        /// Of the room's turns.
        let share: Int
        /// nil until looked up.
        var place: QueuePlace?
        /// Bounds every later word about the same place.
        var best: Told?
        var answeredAt: ContinuousClock.Instant?
        /// As a notice; nil until then, although an answer may have said it: other tabs have not heard that.
        var told: Int?
        var toldAt: ContinuousClock.Instant?
        var toldLobby: Int?
    }

    /// The first hundred hear of every change, at most once a second; the others every 3 s, in turn.
    static let nearFront = 100
    static let nearEvery = Duration.seconds(1)
    static let farEvery = Duration.seconds(3)
    /// A turn of 3 s may come a step early.
    private static let farLeast = Duration.milliseconds(2_800)
    /// Everybody is looked up so often: it is their sign of presence, and whoever gives none for 5 s is away.
    static let lookEvery = Duration.seconds(2)
    /// So far from the front a person is looked at in every step: within one turn of the others not more are let in.
    static let watchedFront = 1_000

    private(set) var users: [UserID: Watched] = [:]
    private(set) var ledger = QueueLedger()
    private(set) var waiting = 0
    private(set) var lobby = 0
    private(set) var active = 0
    private var pace = QueuePace()
    private var epoch: Int64 = 0
    private var tick: Int64 = 0
    /// People whose place is not known yet.
    private(set) var newcomers: Set<UserID> = []
    /// Messages were missed: everybody's place, and the ledger, must be read again.
    private(set) var isBehind = true
    private var wasCleared = false
    /// One per person at most: what happened last is what counts.
    private var pending: [UserID: QueueNotice] = [:]
    private var turns = FeedTurns()
    private var looks = FeedTurns.Round(every: Self.lookEvery)
    private var tellings = FeedTurns.Round(every: Self.farEvery)
    /// Those who wait within ``watchedFront``.
    private var front: Set<UserID> = []

    // MARK: People

    mutating func watch(_ user: UserID, known: QueueStanding?) {
        if users[user] != nil {
            users[user]?.sockets += 1
            return
        }
        var watched = Watched(share: turns.add(user))
        if case .admitted(let expiresAt) = known { watched.place = .admitted(expiresAt: expiresAt) }
        users[user] = watched
        newcomers.insert(user)
    }

    mutating func unwatch(_ user: UserID) {
        guard let watched = users[user] else { return }
        if watched.sockets > 1 {
            users[user]?.sockets = watched.sockets - 1
        } else {
            users[user] = nil
            turns.remove(user, from: watched.share)
            newcomers.remove(user)
            pending[user] = nil
            front.remove(user)
        }
    }

    /// Whom to look up now: those whose turn it is, and who came since; all after messages were missed.
    mutating func takeLooks(now: ContinuousClock.Instant) -> [UserID] {
        let shares = looks.shares(at: now)
        if isBehind { return Array(users.keys) }
        return newcomers.isEmpty
            ? Array(turns.people(in: shares)) : Array(newcomers.union(turns.people(in: shares)))
    }

    // MARK: What happened

    mutating func missedMessages() { isBehind = true }

    mutating func receive(_ message: QueueMessage) {
        switch message {
        case .cleared:
            wasCleared = true
            isBehind = true
        case .tick(let news):
            if news.epoch == epoch, news.number <= tick { return }
            // Another life of the queue may have given places anew, as the draw does.
            if news.epoch != epoch || news.number != tick + 1 { isBehind = true }
            (epoch, tick) = (news.epoch, news.number)
            (waiting, lobby, active, pace) = (news.waiting, news.lobby, news.active, news.pace)
            ledger.remove(upTo: news.prefix)
            ledger.remove(news.gone)
            for pass in news.admitted { settle(pass.user, .admitted(expiresAt: pass.expiresAt)) }
            for user in news.ended { settle(user, .none) }
        }
    }

    /// What Redis answered about some of the people. An answer older than the last tick is dropped: it could undo an
    /// admission for a moment, and the next look comes soon.
    ///
    /// - Returns: whether the answer was used.
    mutating func look(_ found: QueueScripts.Standings, of asked: [UserID]) -> Bool {
        if found.summary.epoch == epoch, found.summary.tick < tick {
            return false
        }
        (waiting, lobby) = (found.summary.waiting, found.summary.lobby)
        (active, pace) = (found.summary.active, found.summary.pace)
        ledger.remove(upTo: found.summary.prefix)
        for (user, place) in zip(asked, found.places) {
            newcomers.remove(user)
            settle(user, place)
        }
        return true
    }

    /// The whole ledger was read, beside a look at everybody.
    mutating func caughtUp(gone: [Int64], tick: Int64, epoch: Int64) {
        ledger.remove(gone)
        (self.tick, self.epoch) = (tick, epoch)
        isBehind = false
        wasCleared = false
    }

    private mutating func settle(_ user: UserID, _ place: QueuePlace) {
        guard let watched = users[user], watched.place != place else { return }
        switch (watched.place, place) {
        case (_, .admitted(let expiresAt)):
            pending[user] = .admitted(user, expiresAt: expiresAt)
        case (.admitted?, .none):
            pending[user] = .expired(user)
        case (.waiting?, .none), (.lobby?, .none):
            pending[user] = wasCleared ? .cleared(user) : .removed(user)
        default:
            // Back in line after all: what was to be said is no longer true.
            pending[user] = nil
        }
        users[user]?.place = place
        if case .waiting(let qseq, let ahead) = place, min(ahead, ledger.ahead(of: qseq)) < Self.watchedFront {
            front.insert(user)
        } else {
            front.remove(user)
        }
        if case .waiting(let qseq, _) = place, case .waiting(qseq, _) = watched.place { return }
        // A new place: its positions begin anew.
        users[user]?.told = nil
        users[user]?.toldAt = nil
        users[user]?.toldLobby = nil
    }

    // MARK: What to say

    /// Somebody is being answered where they stand; with what is returned, for they may know better by now.
    ///
    /// The answer was read some time ago, and the feed may have announced a later tick since. And the answer may be ahead
    /// of the ledger, which hears of places given up with the next tick. Notices then pause, for the answer is still on
    /// its way.
    mutating func answering(
        _ user: UserID,
        _ standing: QueueStanding,
        now: ContinuousClock.Instant
    ) -> QueueStanding {
        guard users[user] != nil, case .waiting(let qseq, var position, let total, let eta) = standing else {
            return standing
        }
        if let best = users[user]?.best {
            // They left in another tab, and have a later place by now.
            if best.qseq > qseq { return standing }
            if best.qseq == qseq { position = min(position, best.position) }
        }
        users[user]?.best = Told(qseq: qseq, position: position)
        users[user]?.answeredAt = now
        return .waiting(qseq: qseq, position: position, total: total, eta: eta)
    }

    /// A notice as it is to be said now: an answer may have overtaken it on its way, or the person may have left.
    func current(_ notice: QueueNotice) -> QueueNotice? {
        guard case .position(let user, let qseq, let position, let total, let eta) = notice else { return notice }
        guard let best = users[user]?.best, best.qseq == qseq else { return nil }
        return .position(user, qseq: qseq, position: min(position, best.position), total: total, eta: eta)
    }

    /// Nobody learns of their turn in any other way while they only listen: it is said again, unless more has happened.
    mutating func unsaid(_ notices: [QueueNotice]) {
        for case .admitted(let user, let expiresAt) in notices
        where pending[user] == nil && users[user]?.place == .admitted(expiresAt: expiresAt) {
            pending[user] = .admitted(user, expiresAt: expiresAt)
        }
    }

    mutating func takeNotices(now: ContinuousClock.Instant, event: Event?) -> [QueueNotice] {
        var notices = Array(pending.values)
        pending.removeAll()
        let estimate = event.flatMap { QueueEstimate(event: $0, active: active, pace: pace) }
        let due = Array(turns.people(in: tellings.shares(at: now)))
        for user in front.isEmpty ? due : Array(front.union(due)) {
            guard var watched = users[user] else { continue }
            switch watched.place {
            case .waiting(let qseq, let ahead):
                // An answer told of a later place already; the next look finds it.
                if let best = watched.best, best.qseq > qseq { continue }
                let best = watched.best?.qseq == qseq ? watched.best?.position : nil
                // The script's own count stands in where the ledger is still behind it.
                let position = min(ledger.position(of: qseq), ahead + 1, best ?? .max)
                if position <= Self.watchedFront { front.insert(user) }
                let every = position <= Self.nearFront ? Self.nearEvery : Self.farLeast
                guard position != watched.told, watched.toldAt.map({ now - $0 >= every }) ?? true,
                    watched.answeredAt.map({ now - $0 >= Self.nearEvery }) ?? true
                else { continue }
                watched.best = Told(qseq: qseq, position: position)
                watched.told = position
                watched.toldAt = now
                users[user] = watched
                notices.append(
                    .position(
                        user,
                        qseq: qseq,
                        position: position,
                        total: max(waiting, position),
                        eta: estimate?.wait(untilPosition: position)
                    )
                )
            case .lobby:
                let isDue = watched.toldAt.map { now - $0 >= Self.farLeast } ?? true
                guard isDue, watched.toldLobby != lobby else { continue }
                watched.toldLobby = lobby
                watched.toldAt = now
                users[user] = watched
                notices.append(.lobby(user, total: max(lobby, 1)))
            case nil, .some(.none), .admitted, .stale: continue
            }
        }
        return notices
    }
}
