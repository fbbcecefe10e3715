import EngineIO
import Metrics
import NIOCore
import Synchronization

/// A WebSocket that was opened for a session that exists: it probes, then takes over.
///
/// Its connection may have been accepted on another loop than the session's, and a connection cannot move. So this
/// object stands between the two: packets of the client hop to the session's loop, messages hop back, both in order.
/// Where both are the same loop, nothing hops, and after the upgrade the session has the transport itself.
///
/// Members are marked with the side, session or connection, on whose loop alone they are touched; that is what makes
/// it Sendable.
///
/// - Bounds: messages on the way to the connection's loop: ``maxInTransit`` times `maxPendingOutboundBytes`, then the
///   session is closed as a slow consumer. Packets on the way to the session's loop: ``maxInbound``, then the
///   connection is not read until they are handled.
final class UpgradingSocket: EngineTransport, EndOfTickFlushing, WebSocketOwner, @unchecked Sendable {
    private static let maxInTransit = 4
    private static let maxInbound = 256
    /// A burst hops in pieces of this size.
    private static let hopBytes = 64 * 1024
    private static let behindCheckInterval = TimeAmount.milliseconds(50)

    let session: EngineSession
    /// The connection's.
    let loop: EngineLoop
    private let isLocal: Bool

    // MARK: State

    /// Connection: the transport until it is over or has been handed to the session.
    private var transport: WebSocketTransport?
    /// Connection.
    private var isOver = false
    private var channel: (any Channel)?
    /// Connection: a look at its unsent bytes is scheduled.
    private var isChecking = false
    /// Session: what hops at the end of the tick.
    private var outbound: [EngineMessage] = []
    private var outboundBytes = 0
    private var isDirty = false
    /// Bytes that left the session's side and were not yet written by the connection's.
    private let inTransit = Atomic<Int>(0)
    /// Packets that left the connection's side and were not yet handled by the session's.
    private let inbound = Atomic<Int>(0)
    private let isPaused = Atomic<Bool>(false)
    /// What the connection's side last knew of its unsent bytes.
    private let isBehind = Atomic<Bool>(false)

    init(session: EngineSession, loop: EngineLoop) {
        self.session = session
        self.loop = loop
        self.isLocal = loop.eventLoop === session.eventLoop
    }

    // MARK: Connection's side

    /// The WebSocket is open.
    func opened(_ transport: WebSocketTransport, _ channel: any Channel) {
        self.transport = transport
        self.channel = channel
        self.session.onLoop { $0.upgradeBegan(self) }
    }

    func receive(_ packet: EnginePacket) {
        guard !self.isLocal else { return self.session.receive(packet, over: self) }
        if self.inbound.add(1, ordering: .relaxed).newValue == Self.maxInbound { self.pause() }
        self.session.eventLoop.execute {
            self.session.receive(packet, over: self)
            let left = self.inbound.subtract(1, ordering: .relaxed).newValue
            if left == 0, self.isPaused.exchange(false, ordering: .relaxed) { self.resume() }
        }
    }

    private func pause() {
        self.isPaused.store(true, ordering: .relaxed)
        self.channel?.setOption(.autoRead, value: false).whenComplete { _ in }
        // The last packet may have been handled before we said that we wait for it.
        if self.inbound.load(ordering: .relaxed) == 0, self.isPaused.exchange(false, ordering: .relaxed) {
            self.resume()
        }
    }

    private func resume() {
        self.loop.eventLoop.execute {
            self.channel?.setOption(.autoRead, value: true).whenComplete { _ in }
        }
    }

    func close(_ reason: EngineCloseReason) {
        // Called by the connection's end, and by the session as its transport; each on its own loop.
        if self.loop.eventLoop.inEventLoop, !self.isOver {
            self.endConnection(reason)
            self.session.onLoop { $0.upgradeEnded(self, reason) }
        } else {
            self.abandon(reason)
        }
    }

    private func endConnection(_ reason: EngineCloseReason) {
        self.isOver = true
        let transport = self.transport
        self.transport = nil
        self.channel = nil
        transport?.close(reason)
    }

    private func write(_ messages: [EngineMessage], _ bytes: Int) {
        self.inTransit.subtract(bytes, ordering: .relaxed)
        guard let transport = self.transport else { return }
        for message in messages { transport.send(message) }
        self.noteBehind()
    }

    /// Looks again until the client has taken all, because nobody tells us when.
    private func noteBehind() {
        let isBehind = self.transport?.hasUnsentBytes ?? false
        self.isBehind.store(isBehind, ordering: .relaxed)
        guard isBehind, !self.isChecking else { return }
        self.isChecking = true
        self.loop.eventLoop.scheduleTask(in: Self.behindCheckInterval) {
            self.isChecking = false
            self.noteBehind()
        }
    }

    // MARK: Session's side

    var hasUnsentBytes: Bool { self.isBehind.load(ordering: .relaxed) }
    /// What waits on this side; what the connection's side keeps is on another loop.
    var unsentBytes: Int { self.outboundBytes + self.inTransit.load(ordering: .relaxed) }

    func send(_ message: EngineMessage) {
        if self.isLocal {
            self.transport?.send(message)
            return
        }
        self.outbound.append(message)
        self.outboundBytes += message.frame.readableBytes
        if self.outboundBytes >= Self.hopBytes {
            self.flush()
        } else if !self.isDirty {
            self.isDirty = true
            self.session.loop.markDirty(self)
        }
    }

    func flush() {
        self.isDirty = false
        guard !self.outbound.isEmpty else { return }
        let messages = self.outbound
        let bytes = self.outboundBytes
        self.outbound = []
        self.outboundBytes = 0
        let waiting = self.inTransit.add(bytes, ordering: .relaxed).newValue
        self.loop.eventLoop.execute { self.write(messages, bytes) }
        guard waiting > Self.maxInTransit * self.loop.server.configuration.maxPendingOutboundBytes else { return }
        EngineMetrics.shared.slowConsumers.increment()
        self.session.close(.slowConsumer)
    }

    /// The upgrade is complete.
    ///
    /// - Returns: what carries the session from now on.
    func takeOver() -> any EngineTransport {
        guard self.isLocal, let transport = self.transport else { return self }
        transport.owner = self.session
        self.transport = nil
        self.channel = nil
        return transport
    }

    /// Closes the WebSocket and nothing else.
    func abandon(_ reason: EngineCloseReason) {
        self.flush()
        if self.loop.eventLoop.inEventLoop {
            if !self.isOver { self.endConnection(reason) }
        } else {
            self.loop.eventLoop.execute { if !self.isOver { self.endConnection(reason) } }
        }
    }
}
