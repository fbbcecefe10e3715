package import HoldfastCore

/// The referee's book: everything that was sent and answered goes in, in the order in which this program saw it, and
/// breaches come out. Pure, so that tests can feed it histories.
package struct Checks: Sendable {
    /// A connection that has to be told what its user had.
    private struct Return {
        let user: Int
        let sentAt: Moment
        let connectedAt: Moment
    }

    /// `session-restored` comes by itself with the connection; this long it may take on a busy machine.
    static let restorePatience = Duration.seconds(20)
    /// Seats and passes granted before a pause are told by then.
    static let pausePatience = Duration.seconds(5)
    /// Breaches that are kept; past it they are counted only.
    static let mostBreaches = 200

    package let venue: Venue
    package var queue: QueueOrder
    package var log: SeatLog
    package var claims: SeatClaims
    package var book = OrderBook()
    private var tabs = TabNews()
    private var lives: SeatLives
    /// Since when the sale is certainly paused.
    private var pausedSince: Moment?
    package private(set) var breaches: [Breach] = []
    package private(set) var breachCount = 0
    package private(set) var breachesOfRule: [Breach.Rule: Int] = [:]
    package private(set) var restored = 0
    /// The wall clock at the beginning, and by how much the service's is ahead of ours.
    private let startedAt: ServerTime
    private var clockAhead: (by: Duration, roundTrip: Duration)?
    private var known: Set<Int> = []
    private var returns: [Int: Return] = [:]

    /// - Parameter failovers: how many times Redis fails over meanwhile, each of which may end all holds.
    package init(_ venue: Venue, maxActive: Int? = nil, failovers: Int = 0, startedAt: ServerTime) {
        self.venue = venue
        self.startedAt = startedAt
        self.queue = QueueOrder(maxActive: maxActive)
        self.log = SeatLog(venue)
        self.claims = SeatClaims(venue)
        self.lives = SeatLives(failovers: failovers)
    }

    package mutating func breach(_ breach: Breach) {
        if !self.lives.doubts(breach) { self.found(breach) }
    }

    private mutating func found(_ breach: Breach) {
        self.breachCount += 1
        self.breachesOfRule[breach.rule, default: 0] += 1
        if self.breaches.count < Self.mostBreaches { self.breaches.append(breach) }
    }

    private mutating func gather() {
        for breach in self.claims.takeBreaches() + self.log.takeBreaches() + self.queue.takeBreaches()
            + self.tabs.takeBreaches()
        {
            self.breach(breach)
        }
    }

    // MARK: Lives of the seat state

    /// How many failovers ended all holds, and what was found about the last moments before and dismissed.
    package var failoversSeen: (ended: Int, dismissed: [Breach.Rule: Int]) { (self.lives.ended, self.lives.dismissed) }

    /// Whatever names a fence tells of a new life: the holds of the one before are over.
    private mutating func saw(_ fence: Fence?, now: Moment) {
        guard let fence, self.lives.saw(fence) else { return }
        self.claims.lifeBegan(with: fence, at: now)
        self.tabs.forget(before: fence)
        if self.lives.isOneTooMany {
            let words = "all holds: fence \(fence) is of a new life of the seats"
            self.found(Breach(.holdEndedEarly, fans: [], at: now, words))
        }
    }

    /// The play is over: what is in doubt still is a breach.
    package mutating func finish() { for breach in self.lives.decided(nil) { self.found(breach) } }

    /// A moment of the service's clock on ours.
    package func moment(_ time: ServerTime?) -> Moment {
        guard let time else { return .never }
        return Moment.zero + (time - self.startedAt) - (self.clockAhead?.by ?? .zero)
    }

    /// A hold that began between two moments of ours and ends at one of the service's compares the clocks.
    private mutating func compareClocks(_ expiresAt: ServerTime, _ sentAt: Moment, _ readAt: Moment) {
        let roundTrip = readAt - sentAt
        guard roundTrip < self.clockAhead?.roundTrip ?? .seconds(5) else { return }
        let began = Moment.zero + (expiresAt - self.startedAt) - self.venue.hold
        self.clockAhead = (began - (sentAt + roundTrip / 2), roundTrip)
    }

    // MARK: Connections

    package mutating func connected(_ fan: Int, _ user: Int, sentAt: Moment, now: Moment) {
        self.queue.connected(user, at: now)
        if self.known.contains(user) { self.returns[fan] = Return(user: user, sentAt: sentAt, connectedAt: now) }
    }

    package mutating func disconnected(_ fan: Int, _ user: Int, now: Moment) {
        self.queue.disconnected(user, at: now)
        self.tabs.left(fan, user)
        self.returns[fan] = nil
    }

    package mutating func restored(_ fan: Int, _ user: Int, _ message: RestoredMessage, now: Moment) {
        self.restored += 1
        let position = message.queue?.position
        if let position { self.queue.told(fan, of: user, position: position, way: .restored, at: now) }
        if message.queue?.status == "admitted" {
            self.queue.admitted(user, until: self.moment(message.queue?.expiresAt), at: now)
        }
        self.saw(message.holds?.fence, now: now)
        if let back = self.returns.removeValue(forKey: fan),
            let had = self.claims.mustFind(user, connectingSince: back.sentAt, now: now)
        {
            let found = Set(self.venue.places(message.selectedSeats ?? []))
            let lost = had.seats.filter { !found.contains($0) }
            let names = self.venue.names(lost.isEmpty ? had.seats : lost).joined(separator: ", ")
            let isLater = message.holds.map { $0.fence > had.fence } ?? false
            if !lost.isEmpty, !isLater {
                self.breach(Breach(.notRestored, fans: [user], at: now, "held, but not restored: \(names)"))
            } else if let fence = message.holds?.fence, fence < had.fence {
                let words = "\(names): fence \(fence) was restored, \(had.fence) was granted"
                self.breach(Breach(.notRestored, fans: [user], at: now, words))
            }
        }
        self.gather()
    }

    // MARK: Requests

    package mutating func sent(_ request: FanRequest, _ user: Int, now: Moment) {
        switch request {
        case .joinQueue, .checkQueue: self.queue.sentJoin(user, at: now)
        case .leaveQueue: self.queue.ended(user, at: now)
        case .select(let seats): self.claims.sentSelection(user, keeping: seats, at: now)
        case .stand: self.claims.sentSelection(user, keeping: [], at: now)
        case .reserve(let seats, _): self.claims.sentOrder(user, seats, at: now)
        case .pay(let id, _): self.book.sentChange(id)
        case .cancel(let id):
            if self.book.sentCancel(id) { self.claims.sentCancel(user, self.book.orders[id]?.seats ?? [], at: now) }
        case .joinEvent, .enter, .look, .bestAvailable, .extend, .nonsense: break
        }
    }

    /// - Returns: how old the news of a place was; see ``QueueOrder/told(_:of:position:at:)``.
    @discardableResult
    package mutating func answered(
        _ request: FanRequest,
        _ answer: FanAnswer,
        _ fan: Int,
        _ user: Int,
        sentAt: Moment,
        now: Moment
    ) -> Duration? {
        defer { self.gather() }
        switch request {
        case .joinEvent:
            guard answer.isDone else { break }
            self.known.insert(user)
            self.tabs.came(fan, user, at: now)
        case .joinQueue, .checkQueue:
            let way: QueueOrder.Way = request.isHTTP ? .http(askedAt: sentAt) : .answer(askedAt: sentAt)
            return self.joined(answer, fan, user, way, sentAt, now)
        case .enter, .select, .bestAvailable, .stand, .extend:
            guard let seats = answer.selectedSeats else { break }
            if !seats.isEmpty, let expiresAt = answer.expiresAt, case .select = request {
                self.compareClocks(expiresAt, sentAt, now, of: user)
            }
            // A refusal carries no fence; what it says of the seats is taken from the next answer.
            guard answer.isDone else { break }
            self.saw(answer.fence, now: now)
            if let fence = answer.fence, self.lives.isOver(fence) { break }
            let until = self.moment(answer.expiresAt)
            let (places, seq) = (self.venue.places(seats), answer.seq ?? 0)
            let isNew = self.claims.selection(
                user,
                places,
                fence: answer.fence,
                until: until,
                seq: seq,
                sentAt: sentAt,
                readAt: now
            )
            if let fence = answer.fence {
                self.tabs.told(fan, fence)
                if isNew { self.tabs.chose(fan, user, fence, sentAt: sentAt, at: now) }
            }
        case .reserve(let seats, _):
            guard answer.httpStatus == 201, let id = answer.reservationId else { break }
            let until = self.moment(answer.expiresAt)
            self.book.ordered(id, user, seats, until: until, at: now)
            self.claims.ordered(user, seats, until: until, readAt: now)
        case .pay(let id, _):
            if answer.httpStatus == 200, answer.success == true {
                self.book.paid(id)
                self.claims.paid(user, self.book.orders[id]?.seats ?? [], at: now)
            } else if answer.httpStatus == 202 {
                // Nobody knows yet; until then the seats stay with the order.
                self.book.paying(id)
                self.claims.paid(user, self.book.orders[id]?.seats ?? [], at: now)
            }
        case .cancel(let id):
            if answer.isDone { self.book.cancelled(id) }
        case .nonsense(let number):
            if answer.isDone {
                let sample = Nonsense.all[number]
                self.breach(
                    Breach(
                        .nonsenseAccepted,
                        fans: [user],
                        at: now,
                        "\(sample.event) \(sample.payload) was answered ok"
                    )
                )
            }
        case .look, .leaveQueue: break
        }
        return nil
    }

    /// Only a hold whose clock has just begun compares clocks: one that was there keeps its end.
    private mutating func compareClocks(_ expiresAt: ServerTime, _ sentAt: Moment, _ now: Moment, of user: Int) {
        if !self.claims.hasHeld(user) { self.compareClocks(expiresAt, sentAt, now) }
    }

    private mutating func joined(
        _ answer: FanAnswer,
        _ fan: Int,
        _ user: Int,
        _ way: QueueOrder.Way,
        _ sentAt: Moment,
        _ now: Moment
    ) -> Duration? {
        switch answer.status {
        case "waiting", "lobby":
            self.queue.joined(user, isDrawn: answer.status == "lobby" || self.venue.isLobby, sentAt: sentAt, at: now)
            guard let position = answer.position else { return nil }
            return self.queue.told(fan, of: user, position: position, way: way, at: now)
        case "admitted":
            if answer.expiresAt != nil { self.queue.admitted(user, until: self.moment(answer.expiresAt), at: now) }
        default: break
        }
        return nil
    }

    // MARK: Messages

    package mutating func position(_ fan: Int, _ user: Int, _ position: Int, now: Moment) -> Duration? {
        defer { self.gather() }
        return self.queue.told(fan, of: user, position: position, at: now)
    }

    package mutating func admitted(_ user: Int, until: ServerTime?, now: Moment) {
        if let since = self.pausedSince, since + Self.pausePatience < now, self.queue.wasHere(user, since: since) {
            self.breach(Breach(.admittedWhilePaused, fans: [user], at: now, "paused since \(since.text)"))
        }
        self.queue.admitted(user, until: self.moment(until), at: now)
    }

    /// One tab of a person is told what they hold.
    package mutating func selectionChanged(_ fan: Int, _ fence: Fence?, now: Moment) {
        self.saw(fence, now: now)
        self.tabs.told(fan, fence)
    }

    /// The service has answered that the sale is paused.
    package mutating func paused(at now: Moment) { self.pausedSince = now }

    /// The sale is about to be opened again.
    package mutating func resumed() { self.pausedSince = nil }

    package mutating func passEnded(_ user: Int, now: Moment) { self.queue.passEnded(user, at: now) }

    package mutating func queueCleared(_ user: Int, now: Moment) { self.queue.ended(user, at: now) }

    package mutating func holdExpired(_ user: Int, now: Moment) { self.claims.holdExpired(user, at: now) }

    package mutating func seatMessage(_ kind: SeatLog.Kind, _ seats: [Int32], seq: Int64, now: Moment) {
        if kind == .locked, let since = self.pausedSince, since + Self.pausePatience < now {
            let words = "\(self.venue.names(seats).joined(separator: ", ")): message \(seq), paused since \(since.text)"
            self.breach(Breach(.soldWhilePaused, fans: [], at: now, words))
        }
        self.log.receive(kind, seats, seq: seq, at: now)
        for release in self.log.takeReleases() { self.claims.released(release.seat, seq: release.seq, at: now) }
        self.gather()
    }

    // MARK: Time

    /// Call it a few times a second.
    package mutating func tick(_ now: Moment) {
        self.queue.tick(now)
        self.tabs.tick(now)
        for breach in self.lives.decided(now) { self.found(breach) }
        for (fan, back) in self.returns where back.connectedAt + Self.restorePatience < now {
            self.returns[fan] = nil
            let words = "connected at \(back.connectedAt.text), no session-restored since"
            self.breach(Breach(.notRestored, fans: [back.user], at: now, words))
        }
        self.gather()
    }
}

/// What `session-restored` says.
package struct RestoredMessage: Decodable, Sendable {
    package struct Standing: Decodable, Sendable {
        package var status: String?
        package var position: Int?
        package var expiresAt: ServerTime?

        package init(status: String? = nil, position: Int? = nil, expiresAt: ServerTime? = nil) {
            self.status = status
            self.position = position
            self.expiresAt = expiresAt
        }
    }
    package struct Holds: Decodable, Sendable {
        package var fence: Fence
        package var expiresAt: ServerTime?

        package init(fence: Fence) { self.fence = fence }
    }

    package var selectedSeats: [String]?
    package var queue: Standing?
    package var holds: Holds?
    package var queueEventId: String?
    package var seatEventId: String?
    package var seq: Int64?

    package init() {}
}
