import AsyncHTTPClient
import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import SocketIO
import SocketIOClient

/// The fans of one event loop: their states, their sockets, their timers. Everything happens on the loop, which is what
/// makes it Sendable.
///
/// - Bounds: one request under way per fan, one socket per fan, one timer for all.
final class Shard: @unchecked Sendable {
    struct Fan {
        let number: Int
        let user: Int
        let token: String
        var state: FanState
        var client: SocketIOClient?
        /// Raised with each connection; what an earlier one still says is late.
        var connection = 0
        /// Raised with each request.
        var request = 0
        var connectSentAt = Moment.zero
        var connectDue = Moment.zero
        var isUp = false
        var follower = SeqFollower()

        init(number: Int, user: Int, token: String, state: FanState) {
            self.number = number
            self.user = user
            self.token = token
            self.state = state
        }
    }

    let eventLoop: any EventLoop
    let plan: SimulationPlan
    let venue: Venue
    let referee: Referee
    let http: HTTPCalls
    let reference: RawJSON
    private let connectors: [ClientConnector]
    private let startedAt: NIODeadline
    var fans: [Fan]
    var tally = Tally()
    var feed = SeatFeed()
    private var wheel = TimerWheel()
    private var unfinished: Int
    private var online = 0
    private var timer: RepeatedTask?
    private var isStopped = false

    init(
        _ fans: [Fan],
        plan: SimulationPlan,
        venue: Venue,
        referee: Referee,
        connectors: [ClientConnector],
        client: HTTPClient,
        startedAt: NIODeadline,
        on eventLoop: any EventLoop
    ) {
        self.fans = fans
        self.unfinished = fans.count
        self.plan = plan
        self.venue = venue
        self.referee = referee
        self.connectors = connectors
        self.startedAt = startedAt
        self.eventLoop = eventLoop
        self.http = HTTPCalls(client, on: eventLoop, patience: plan.patience)
        self.reference = RawJSON(trusted: #"{"eventId":"\#(venue.eventID)"}"#)
    }

    var now: Moment { Moment(nanoseconds: (NIODeadline.now() - self.startedAt).nanoseconds) }

    // MARK: Life

    func start() {
        for (index, fan) in self.fans.enumerated() {
            if let at = fan.state.wakeAt { self.wheel.add(Int32(index), at: at) }
        }
        let slot = TimeAmount(TimerWheel.slot)
        self.timer = self.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: slot) { [weak self] _ in
            self?.turn()
        }
    }

    private func turn() {
        for index in self.wheel.due(self.now) {
            guard let wakeAt = self.fans[Int(index)].state.wakeAt, wakeAt <= self.now else { continue }
            self.tally.record(.ownLag, self.now - wakeAt)
            self.happened(Int(index), .woken)
        }
    }

    /// Ends the play: every socket is cut, no fan does anything any more.
    func stop() {
        self.isStopped = true
        self.timer?.cancel()
        for index in self.fans.indices { self.hangUp(index, politely: false) }
    }

    struct Glance: Sendable {
        var unfinished = 0
        var online = 0
        var tally = Tally()
    }

    func glance() -> Glance { Glance(unfinished: self.unfinished, online: self.online, tally: self.tally) }

    // MARK: Fans

    func happened(_ index: Int, _ event: FanEvent) {
        guard !self.isStopped else { return }
        let before = self.fans[index].state.wakeAt
        let actions = self.fans[index].state.handle(event, now: self.now)
        if let wakeAt = self.fans[index].state.wakeAt, wakeAt != before { self.wheel.add(Int32(index), at: wakeAt) }
        for action in actions { self.perform(index, action) }
    }

    private func perform(_ index: Int, _ action: FanAction) {
        switch action {
        case .connect(let server, let due): self.connect(index, server, due)
        case .cut:
            self.tally.cuts += 1
            self.hangUp(index, politely: false)
        case .close: self.hangUp(index, politely: true)
        case .request(let request, let due): self.send(index, request, due)
        case .finish(let outcome):
            self.unfinished -= 1
            self.tally.outcomes[outcome, default: 0] += 1
        }
    }

    private func connect(_ index: Int, _ server: Int, _ due: Moment) {
        self.fans[index].connection += 1
        let connection = self.fans[index].connection
        var configuration = ClientConfiguration()
        configuration.reconnects = false
        configuration.auth = RawJSON(trusted: #"{"token":"\#(self.fans[index].token)"}"#)
        configuration.connectTimeout = .init(self.plan.patience)
        configuration.maxPendingAcks = 4
        let connector = self.connectors[server % self.connectors.count]
        let client = SocketIOClient(connector, configuration, on: self.eventLoop) { [weak self] event in
            self?.told(index, connection, event)
        }
        self.fans[index].client = client
        (self.fans[index].connectDue, self.fans[index].connectSentAt) = (due, self.now)
        client.connect()
    }

    private func hangUp(_ index: Int, politely: Bool) {
        let client = self.fans[index].client
        self.down(index)
        if politely { client?.disconnect() } else { client?.cut() }
    }

    /// The connection is over for whatever reason.
    private func down(_ index: Int) {
        self.fans[index].client = nil
        self.fans[index].connection += 1
        self.fans[index].follower.leave()
        guard self.fans[index].isUp else { return }
        self.fans[index].isUp = false
        self.online -= 1
        let (fan, user, now) = (self.fans[index].number, self.fans[index].user, self.now)
        self.referee.with { $0.disconnected(fan, user, now: now) }
    }

    // MARK: From the socket

    private func told(_ index: Int, _ connection: Int, _ event: ClientEvent) {
        guard self.fans[index].connection == connection else { return }
        switch event {
        case .connected:
            let (fan, now) = (self.fans[index], self.now)
            self.fans[index].isUp = true
            self.online += 1
            self.tally.connections += 1
            self.tally.record(.connect, now - fan.connectDue)
            self.referee.with { $0.connected(fan.number, fan.user, sentAt: fan.connectSentAt, now: now) }
            self.happened(index, .connected)
        case .refused(let error):
            struct Refusal: Decodable { let code: String? }
            let refusal = error.data.flatMap { try? JSONDecoder().decode(Refusal.self, from: $0.bytes) }
            let code = refusal?.code ?? "CONNECT_ERROR"
            self.tally.refused(code)
            self.down(index)
            self.happened(index, .notConnected(isFinal: code != "UNAVAILABLE" && code != "DRAINING"))
        case .disconnected:
            let wasUp = self.fans[index].isUp
            if !wasUp { self.tally.refused("NOT_CONNECTED") }
            self.down(index)
            self.happened(index, wasUp ? .disconnected : .notConnected(isFinal: false))
        case .reconnecting: break
        case .event(let name, let arguments):
            self.tally.messages += 1
            if let payload = arguments.first { self.heard(index, name, payload.bytes) }
        }
    }
}

/// When each seat message was first heard on this loop, to measure how far it spreads.
///
/// - Bounds: the last 8,192 messages.
struct SeatFeed {
    private static let size = 8_192
    private var first = [(seq: Int64, at: Moment)](repeating: (0, .zero), count: Self.size)

    /// Nil the first time, else how long ago that was.
    mutating func hear(_ seq: Int64, _ now: Moment) -> Duration? {
        let slot = Int(seq % Int64(Self.size))
        if self.first[slot].seq == seq { return now - self.first[slot].at }
        if seq > self.first[slot].seq { self.first[slot] = (seq, now) }
        return nil
    }
}
