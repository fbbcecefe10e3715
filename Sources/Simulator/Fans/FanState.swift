import HoldfastCore
import SocketIOClient

/// One fan, from arriving to leaving: what happens goes in, what they do comes out.
///
/// Pure: no I/O, no clock, chance from a seed; the same events at the same times give the same actions. A fan does one
/// thing at a time: there is at most one request under way, and what comes next is an intent with a time.
package struct FanState: Sendable {
    enum Intent: Equatable {
        case connect
        case ask(FanRequest)
        /// Closes and is done.
        case end(FanOutcome)
    }

    enum Standing { case outside, waiting, admitted }

    package let traits: FanTraits
    /// Set once, when the fan is done.
    package private(set) var outcome: FanOutcome?
    /// When to be woken; nil while only an answer or a message can change anything.
    package private(set) var wakeAt: Moment?
    package private(set) var isOnline = false

    let venue: Venue
    let thinking: Duration
    let serverCount: Int
    var random: FanRandom
    var server: Int
    var standing = Standing.outside
    var holds: [Int32] = []
    var order: ReservationID?
    var isPaid = false
    var hasCancelled = false
    var isUnsettled = false
    /// How often the sale was not open.
    var closedDoors = 0
    var hasExtended = false
    var hasChangedMind = false
    var conflicts = 0
    var looks = 0
    /// How often the bot has done what it does.
    var mischief = 0
    private(set) var pending: FanRequest?
    private var intent: Intent?
    private var intentAt = Moment.never
    private var isConnecting = false
    private var backoff = Backoff()
    private var dropsLeft: Int
    private var reloadsLeft: Int
    /// When the network goes, or the page is loaded again.
    private var breakAt: Moment?

    package init(
        traits: FanTraits,
        venue: Venue,
        arrivesAt: Moment,
        server: Int,
        serverCount: Int,
        thinking: Duration,
        random: FanRandom
    ) {
        self.traits = traits
        self.venue = venue
        self.server = server
        self.serverCount = max(serverCount, 1)
        self.thinking = thinking
        self.random = random
        self.dropsLeft = traits.dropOuts
        self.reloadsLeft = traits.reloads
        self.plan(.connect, at: arrivesAt)
        self.wakeAt = arrivesAt
    }

    // MARK: What happens

    package mutating func handle(_ event: FanEvent, now: Moment) -> [FanAction] {
        guard self.outcome == nil else { return [] }
        switch event {
        case .woken: break
        case .connected: self.connected(now)
        case .notConnected(let isFinal):
            self.offline()
            if isFinal { self.plan(.end(.refused), at: now) } else { self.comeBack(now) }
        case .disconnected:
            self.offline()
            self.comeBack(now)
        case .answered(let answer):
            guard let request = self.pending else { break }
            self.pending = nil
            if let seats = answer.selectedSeats { self.holds = self.venue.places(seats) }
            self.answered(request, answer, now)
        case .unanswered:
            guard let request = self.pending else { break }
            self.pending = nil
            self.unanswered(request, now)
        case .seatMap(let statuses):
            guard self.pending == .look else { break }
            self.pending = nil
            self.saw(statuses, now)
        case .admitted: self.admitted(now)
        case .passEnded:
            self.standing = .outside
            if self.traits.kind == .onlooker {
                self.plan(.end(.lookedOn), at: now)
                break
            }
            // Who has seats in the basket goes on with them; the others try again, or have had enough.
            if self.holds.isEmpty, self.order == nil {
                self.ask(self.random.chance(0.5) ? .joinQueue : .leaveQueue, at: now + self.think())
            }
        case .holdExpired: self.holdEnded(now)
        case .loggedOut: self.plan(.end(.loggedOut), at: now)
        case .draining(let wait):
            guard self.isOnline, self.pending?.isHTTP != true else { break }
            self.offline()
            self.server = (self.server + 1) % self.serverCount
            self.plan(.connect, at: now + wait)
            return [.close] + self.step(now)
        }
        return self.step(now)
    }

    // MARK: Intents

    mutating func plan(_ intent: Intent, at moment: Moment) {
        self.intent = intent
        self.intentAt = moment
    }

    mutating func ask(_ request: FanRequest, at moment: Moment) { self.plan(.ask(request), at: moment) }

    mutating func think() -> Duration { self.random.thinking(median: self.thinking) }

    /// Does what is due.
    private mutating func step(_ now: Moment) -> [FanAction] {
        var actions: [FanAction] = []
        if let breakAt = self.breakAt, breakAt <= now, self.isOnline, self.pending?.isHTTP != true {
            actions.append(self.breakConnection(now))
        }
        while self.pending == nil, !self.isConnecting, let intent = self.intent, self.intentAt <= now {
            let due = self.intentAt
            self.intent = nil
            switch intent {
            case .connect:
                self.isConnecting = true
                actions.append(.connect(server: self.server, due: due))
            case .ask(let request):
                // A socket's request waits for the socket: what comes next is decided when it is back. The answer to an
                // HTTP request may have taken the place of coming back.
                guard request.isHTTP || self.isOnline else {
                    self.comeBack(now)
                    continue
                }
                self.pending = request
                actions.append(.request(request, due: due))
            case .end(let outcome):
                self.outcome = outcome
                self.isOnline = false
                actions += [.close, .finish(outcome)]
            }
        }
        self.wakeAt = self.nextWake()
        return actions
    }

    private func nextWake() -> Moment? {
        guard self.outcome == nil else { return nil }
        let next = self.intent != nil && self.pending == nil && !self.isConnecting ? self.intentAt : .never
        let loss = self.isOnline && self.pending?.isHTTP != true ? self.breakAt ?? .never : .never
        let wake = min(next, loss)
        return wake == .never ? nil : wake
    }

    // MARK: The connection

    private mutating func connected(_ now: Moment) {
        self.isConnecting = false
        self.isOnline = true
        // Another tab may have left the queue, or the pass run out: joining tells.
        self.standing = .outside
        self.backoff.reset()
        self.breakAt = nil
        if self.dropsLeft + self.reloadsLeft > 0 {
            self.breakAt = now + self.random.between(.milliseconds(200), self.thinking * 6 + .seconds(1))
        }
        if self.pending == nil { self.ask(.joinEvent, at: now) }
    }

    private mutating func offline() {
        self.isOnline = false
        self.isConnecting = false
        // What was asked over the socket may have been done or not; joining again tells.
        if self.pending?.isHTTP != true { self.pending = nil }
    }

    private mutating func comeBack(_ now: Moment) {
        self.server = (self.server + 1) % self.serverCount
        self.plan(.connect, at: now + self.backoff.next(random: self.random.fraction()))
    }

    private mutating func breakConnection(_ now: Moment) -> FanAction {
        self.breakAt = nil
        self.offline()
        if self.dropsLeft > 0 {
            self.dropsLeft -= 1
            self.server = (self.server + 1) % self.serverCount
            self.plan(.connect, at: now + self.random.between(.milliseconds(300), .seconds(8)))
            return .cut
        }
        self.reloadsLeft -= 1
        self.plan(.connect, at: now + self.random.between(.milliseconds(50), .milliseconds(800)))
        return .close
    }
}
