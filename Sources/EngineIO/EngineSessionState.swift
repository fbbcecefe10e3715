package import NIOCore

/// The life of one Engine.IO session: heartbeat, what may arrive when, and the one end it has.
///
/// Pure logic. The caller passes the time in, performs the action, and comes back with `tick` when a deadline that
/// it was told of has passed. A tick that comes too early or too late for a closed session does nothing.
package struct EngineSessionState: ~Copyable {
    private enum State {
        /// The peer answered the last ping, or has had none yet.
        case idle(pingAt: NIODeadline)
        case awaitingPong(deadline: NIODeadline)
        case closed
    }

    package enum TickAction: Equatable, Sendable {
        case none
        /// Send a ping and call `tick` at the deadline.
        case sendPing(pongDeadline: NIODeadline)
        case close(EngineCloseReason)
    }

    package enum PacketAction: Equatable, Sendable {
        case none
        case deliverText(ByteBuffer)
        case deliverBinary(ByteBuffer)
        /// The peer is there: call `tick` at the time of the next ping.
        case schedulePing(at: NIODeadline)
        case close(EngineCloseReason)
    }

    private var state: State
    private let pingInterval: TimeAmount
    private let pingTimeout: TimeAmount

    /// A session that was opened at `now`; its first ping is due at ``nextDeadline``.
    package init(pingInterval: TimeAmount, pingTimeout: TimeAmount, now: NIODeadline) {
        self.pingInterval = pingInterval
        self.pingTimeout = pingTimeout
        self.state = .idle(pingAt: now + pingInterval)
    }

    package var isClosed: Bool {
        if case .closed = self.state { true } else { false }
    }

    package var nextDeadline: NIODeadline? {
        switch self.state {
        case .idle(let pingAt): pingAt
        case .awaitingPong(let deadline): deadline
        case .closed: nil
        }
    }

    package mutating func tick(now: NIODeadline) -> TickAction {
        switch self.state {
        case .idle(let pingAt) where now >= pingAt:
            // Counted from when the ping was due, so that a timer's small delays do not add up: a client may ask, at
            // the very moment both times have passed, whether the session is gone. After a longer stall of ours the
            // peer has nearly its whole time all the same.
            let slack = TimeAmount.nanoseconds(self.pingTimeout.nanoseconds / 10)
            let deadline = max(pingAt + self.pingTimeout, now + self.pingTimeout - slack)
            self.state = .awaitingPong(deadline: deadline)
            return .sendPing(pongDeadline: deadline)
        case .awaitingPong(let deadline) where now >= deadline:
            self.state = .closed
            return .close(.pingTimeout)
        case .idle, .awaitingPong, .closed:
            return .none  // A tick for a deadline that has moved on: normal.
        }
    }

    /// What a packet of the peer asks for.
    ///
    /// - Source: Engine.IO protocol 4: only the server pings; a packet out of place ends the session.
    ///
    /// - Parameter now: the clock is read for a pong only, which one packet in thousands is.
    package mutating func receive(_ packet: EnginePacket, now: @autoclosure () -> NIODeadline) -> PacketAction {
        guard !self.isClosed else { return .none }
        switch packet {
        case .text(let data):
            return .deliverText(data)
        case .binary(let data):
            return .deliverBinary(data)
        case .pong:
            // One that nobody asked for changes nothing: each would cost its session an entry among the deadlines.
            guard case .awaitingPong = self.state else { return .none }
            let pingAt = now() + self.pingInterval
            self.state = .idle(pingAt: pingAt)
            return .schedulePing(at: pingAt)
        case .noop:
            return .none
        case .close:
            self.state = .closed
            return .close(.transportClose)
        case .open, .ping, .upgrade:
            self.state = .closed
            return .close(.parseError)
        }
    }

    /// Ends the session; true for the one call that ended it.
    package mutating func close() -> Bool {
        if self.isClosed { return false }
        self.state = .closed
        return true
    }
}
