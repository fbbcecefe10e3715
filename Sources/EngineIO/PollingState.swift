package import NIOCore

/// Long-polling of one session: what waits for the next poll, which requests are on the way, and the upgrade.
///
/// Pure logic, told of requests and asked what to answer. A message is in the queue until it is in the payload of an
/// answer or has been taken for the WebSocket, never in both.
///
/// - Bounds: the queue holds `maxQueuedBytes`, each packet counted with what it costs us; then the session is closed
///   as a slow consumer. A payload holds ``maxPackets`` packets and, from the second on, `maxPayload` bytes.
/// - Source: Engine.IO protocol 4, "HTTP long-polling" and "Upgrade".
package struct PollingState: ~Copyable {
    /// python-engineio drops a payload that holds more.
    package static let maxPackets = 16
    /// What a queued packet costs beside its bytes: its place in the queue and its buffer.
    private static let packetOverhead = 64
    private static let noop = EngineMessage(.noop)
    private static let farewell = EngineMessage(.close)

    private enum Phase {
        case open
        /// A WebSocket was opened for the session; a client that has seen the probe answered stops polling.
        case upgrading(isProbed: Bool)
        /// Closed by us; the poll that comes next, or the one after, is told.
        case lingering
        case over
    }

    package enum PollAction: Equatable, Sendable {
        /// Keep it until there is something to say.
        case wait
        case answer(ByteBuffer)
        /// Answer it; after that nothing is left of the session.
        case answerLast(ByteBuffer)
        /// One waits already: both are ended, and the session.
        case overlap
        case gone
    }

    package enum SendAction: Equatable, Sendable {
        /// It waits for a poll to come.
        case none
        /// A poll waits: call ``flush()`` when the loop's tick ends.
        case flush
        /// The client takes nothing: close it.
        case tooSlow
    }

    package enum CloseAction: Equatable, Sendable {
        /// Answer the poll that waits; nothing is left of the session.
        case answer(ByteBuffer)
        /// Answer the poll that waits if there is one, and keep the session for the polls to come.
        case linger(ByteBuffer?)
        case none
    }

    private static let ping = EngineMessage(.ping)

    private var phase = Phase.open
    private var queue = CircularBuffer<EngineMessage>()
    package private(set) var queuedBytes = 0
    private let maxQueuedBytes: Int
    private let maxPayload: Int
    /// Whether a poll waits for its answer.
    package private(set) var isPolled = false
    /// Whether a POST is being read.
    package private(set) var isPosted = false

    package init(maxQueuedBytes: Int, maxPayload: Int) {
        self.maxQueuedBytes = maxQueuedBytes
        self.maxPayload = maxPayload
    }

    package var hasQueued: Bool { !self.queue.isEmpty }
    package var isLingering: Bool { if case .lingering = self.phase { true } else { false } }
    /// The client has seen its probe answered: it may poll no more.
    package var isProbed: Bool { if case .upgrading(isProbed: true) = self.phase { true } else { false } }
    package var isUpgrading: Bool { if case .upgrading = self.phase { true } else { false } }

    // MARK: Sending

    package mutating func send(_ message: EngineMessage) -> SendAction {
        switch self.phase {
        case .lingering, .over: return .none
        case .open, .upgrading: break
        }
        if message.frame.readableBytes == Self.ping.frame.readableBytes, message == Self.ping {
            // Ahead of what waits: behind many polls' worth it would come too late, and cost a session that is alive.
            self.queue.prepend(message)
        } else {
            self.queue.append(message)
        }
        self.queuedBytes += message.frame.readableBytes + Self.packetOverhead
        if self.queuedBytes > self.maxQueuedBytes { return .tooSlow }
        return self.isPolled ? .flush : .none
    }

    /// The payload for the poll that waits; `nil` if none does or there is nothing to say.
    package mutating func flush() -> ByteBuffer? {
        guard self.isPolled, self.hasQueued else { return nil }
        self.isPolled = false
        return self.takePayload()
    }

    // MARK: Requests

    package mutating func poll() -> PollAction {
        guard !self.isPolled else { return .overlap }
        switch self.phase {
        case .over:
            return .gone
        case .lingering:
            let payload = self.takePayload(andFarewell: true)
            return self.isLingering ? .answer(payload) : .answerLast(payload)
        case .open, .upgrading:
            if self.hasQueued { return .answer(self.takePayload()) }
            if case .upgrading(isProbed: true) = self.phase { return .answer(Self.payload(Self.noop)) }
            self.isPolled = true
            return .wait
        }
    }

    /// A POST's head has come; false if another is being read.
    package mutating func postBegan() -> Bool {
        if self.isPosted { return false }
        self.isPosted = true
        return true
    }

    package mutating func postEnded() { self.isPosted = false }

    /// The poll that waits can no longer be answered.
    package mutating func pollCut() { self.isPolled = false }

    // MARK: Upgrade

    /// A WebSocket came for the session; false if one has come already.
    package mutating func upgradeBegan() -> Bool {
        guard case .open = self.phase else { return false }
        self.phase = .upgrading(isProbed: false)
        return true
    }

    /// The client probes its WebSocket: from now on no poll waits.
    ///
    /// - Returns: the payload for the poll that waits, if one does.
    package mutating func upgradeProbed() -> ByteBuffer? {
        guard self.isUpgrading else { return nil }
        self.phase = .upgrading(isProbed: true)
        guard self.isPolled else { return nil }
        self.isPolled = false
        return self.hasQueued ? self.takePayload() : Self.payload(Self.noop)
    }

    /// The WebSocket is gone; polling goes on.
    package mutating func upgradeFailed() {
        if self.isUpgrading { self.phase = .open }
    }

    /// The WebSocket takes over.
    ///
    /// - Returns: what it has to send first, in order, and the payload for a poll that still waits.
    package mutating func upgraded() -> (queued: CircularBuffer<EngineMessage>, released: ByteBuffer?) {
        let released = self.isPolled ? Self.payload(Self.noop) : nil
        self.isPolled = false
        self.phase = .over
        let queued = self.queue
        self.queue = CircularBuffer()
        self.queuedBytes = 0
        return (queued, released)
    }

    // MARK: Closing

    /// The session has ended.
    ///
    /// Who takes leave is let go with a noop, as the reference does it. Who is closed by our decision hears of it
    /// with the next poll, behind what was sent before. Who broke the protocol or is not there has no next poll.
    package mutating func close(_ reason: EngineCloseReason) -> CloseAction {
        let waits = self.isPolled
        self.isPolled = false
        switch reason {
        case .transportClose:
            self.end()
            return waits ? .answer(Self.payload(Self.noop)) : .none
        case .forcedClose, .serverShuttingDown, .tooManyEvents:
            self.phase = .lingering
            guard waits else { return .linger(nil) }
            let payload = self.takePayload(andFarewell: true)
            return self.isLingering ? .linger(payload) : .answer(payload)
        case .transportError, .pingTimeout, .parseError, .slowConsumer, .messageTooLarge:
            self.end()
            return waits ? .answer(Self.payload(Self.farewell)) : .none
        }
    }

    /// The time for another poll is over.
    package mutating func end() {
        self.phase = .over
        self.queue = CircularBuffer()
        self.queuedBytes = 0
    }

    // MARK: Payloads

    private static func payload(_ message: EngineMessage) -> ByteBuffer { message.payload }

    /// Takes from the queue what one answer may hold; if there is nothing, the close packet.
    ///
    /// It never goes along with messages: clients hand those on a little later, and would find the connection closed.
    private mutating func takePayload(andFarewell isLast: Bool = false) -> ByteBuffer {
        var body = ByteBuffer()
        var count = 0
        while count < Self.maxPackets, let message = self.queue.first {
            // Base64 makes four bytes of three.
            let size = message.frame.readableBytes * (message.isBinary ? 4 : 3) / 3
            if count > 0, body.readableBytes + size > self.maxPayload { break }
            self.queue.removeFirst()
            self.queuedBytes -= message.frame.readableBytes + Self.packetOverhead
            EnginePayload.append(message, to: &body)
            count += 1
        }
        if isLast, count == 0 {
            EnginePayload.append(Self.farewell, to: &body)
            self.end()
        }
        return body
    }
}
