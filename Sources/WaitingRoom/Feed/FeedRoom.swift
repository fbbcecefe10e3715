import Events
import HoldfastCore

/// What an instance knows about one event's queue and its own people in it. No I/O, no clock.
///
/// Ticks move it forward; looks at Redis correct it. Neither can make a position worse: the ledger only grows, and what
/// a person was told last is remembered.
struct FeedRoom: Sendable {
    struct Watched: Sendable {
        var sockets = 1
        /// nil until looked up.
        var place: QueuePlace?
        var told: Int?
        var toldAt: ContinuousClock.Instant?
        var toldLobby: Int?
    }

    /// The first hundred hear of every change, at most once a second; the others every 3 s.
    static let nearFront = 100
    static let nearEvery = Duration.seconds(1)
    static let farEvery = Duration.seconds(3)

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

    // MARK: People

    mutating func watch(_ user: UserID, known: QueueStanding?) {
        if users[user] != nil {
            users[user]?.sockets += 1
            return
        }
        var watched = Watched()
        if case .admitted(let expiresAt) = known { watched.place = .admitted(expiresAt: expiresAt) }
        users[user] = watched
        newcomers.insert(user)
    }

    mutating func unwatch(_ user: UserID) {
        guard let sockets = users[user]?.sockets else { return }
        if sockets > 1 {
            users[user]?.sockets = sockets - 1
        } else {
            users[user] = nil
            newcomers.remove(user)
            pending[user] = nil
        }
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
        if case .waiting(let qseq, _) = place, case .waiting(qseq, _) = watched.place { return }
        // A new place: its positions begin anew.
        users[user]?.told = nil
        users[user]?.toldAt = nil
        users[user]?.toldLobby = nil
    }

    // MARK: What to say

    mutating func takeNotices(now: ContinuousClock.Instant, event: Event?) -> [QueueNotice] {
        var notices = Array(pending.values)
        pending.removeAll()
        let estimate = event.flatMap { QueueEstimate(event: $0, active: active, pace: pace) }
        for (user, watched) in users {
            switch watched.place {
            case .waiting(let qseq, let ahead):
                // The script's own count stands in where the ledger is still behind it.
                let position = min(ledger.position(of: qseq), ahead + 1, watched.told ?? .max)
                let every = position <= Self.nearFront ? Self.nearEvery : Self.farEvery
                guard position != watched.told, watched.toldAt.map({ now - $0 >= every }) ?? true else { continue }
                users[user]?.told = position
                users[user]?.toldAt = now
                notices.append(
                    .position(
                        user,
                        position: position,
                        ahead: position - 1,
                        total: max(waiting, position),
                        eta: estimate?.wait(untilPosition: position)
                    )
                )
            case .lobby:
                let due = watched.toldAt.map { now - $0 >= Self.farEvery } ?? true
                guard due, watched.toldLobby != lobby else { continue }
                users[user]?.toldLobby = lobby
                users[user]?.toldAt = now
                notices.append(.lobby(user, total: max(lobby, 1)))
            case nil, .some(.none), .admitted, .stale: continue
            }
        }
        return notices
    }
}
