import EngineIO
import Metrics
import NIOCore

/// One Engine.IO session on the loop of its handshake.
///
/// It owns the state machine and whatever transport carries it, and tells its application what arrives.
/// Touched on its loop only, which is what makes it Sendable.
final class EngineSession: EngineConnection, WebSocketOwner, @unchecked Sendable {
    let sid: String
    let request: EngineRequest
    let loop: EngineLoop
    /// The place in the loop's table; written by it.
    var slot = -1

    private var state: EngineSessionState
    private var transport: (any EngineTransport)?
    private var receiver: (any EngineReceiver)?

    var eventLoop: any EventLoop { self.loop.eventLoop }
    var hasUnsentBytes: Bool { self.transport?.hasUnsentBytes ?? false }
    var unsentBytes: Int { self.transport?.unsentBytes ?? 0 }
    var isClosed: Bool { self.state.isClosed }

    init(sid: String, request: EngineRequest, loop: EngineLoop) {
        self.sid = sid
        self.request = request
        self.loop = loop
        let configuration = loop.server.configuration
        self.state = EngineSessionState(
            pingInterval: configuration.pingInterval,
            pingTimeout: configuration.pingTimeout,
            now: .now()
        )
    }

    /// Sends the handshake and tells the application.
    func open(over transport: any EngineTransport) {
        self.transport = transport
        self.loop.insert(self)
        self.loop.server.sessions.insert(self)
        self.loop.server.sessionOpened()
        if let deadline = self.state.nextDeadline { self.loop.schedulePing(of: self, at: deadline) }
        transport.send(self.loop.server.handshake(sid: self.sid, upgrades: transport.upgrades))
        self.receiver = self.loop.server.application.connected(self)
    }

    // MARK: From the application

    func send(_ message: EngineMessage) {
        guard !self.state.isClosed else { return }
        self.transport?.send(message)
    }

    func flush() { self.transport?.flushEarly() }

    func close(_ reason: EngineCloseReason) {
        guard self.state.close() else { return }
        self.finish(reason)
    }

    // MARK: From the transport and the clock

    func receive(_ packet: EnginePacket) {
        switch self.state.receive(packet, now: .now()) {
        case .none: break
        case .deliverText(let data): self.receiver?.receive(text: data)
        case .deliverBinary(let data): self.receiver?.receive(binary: data)
        case .schedulePing(let time): self.loop.schedulePing(of: self, at: time)
        case .close(let reason): self.finish(reason)
        }
    }

    func tick(now: NIODeadline) {
        switch self.state.tick(now: now) {
        case .none: break
        case .sendPing(let deadline):
            self.transport?.send(EngineServer.pingMessage)
            self.loop.schedulePongTimeout(of: self, at: deadline)
        case .close(let reason): self.finish(reason)
        }
    }

    /// The state machine has closed: let go of everything, once.
    private func finish(_ reason: EngineCloseReason) {
        self.loop.remove(self)
        self.loop.server.sessionClosed(reason)
        let transport = self.transport
        let receiver = self.receiver
        self.receiver = nil
        transport?.close(reason)
        if transport?.isLingering != true { self.release() }
        receiver?.closed(reason)
    }

    /// Nobody has to be told anything any more: the sid is forgotten.
    func release() {
        self.transport = nil
        self.loop.server.sessions.remove(self)
    }

    // MARK: Requests and upgrades

    /// The transport that carries the session if it is polling.
    private var polling: PollingTransport? { self.transport as? PollingTransport }

    /// Runs `body` on the session's loop: at once if this is it.
    func onLoop(_ body: @escaping @Sendable (EngineSession) -> Void) {
        if self.eventLoop.inEventLoop { body(self) } else { self.eventLoop.execute { body(self) } }
    }

    func poll(_ exchange: HTTPExchange) {
        // The timer may be a little late: a poll after the deadline finds no session.
        self.tick(now: .now())
        guard let polling = self.polling else { return self.refuse(exchange) }
        polling.poll(exchange)
    }

    func postBegan(_ exchange: HTTPExchange) {
        guard let polling = self.polling else { return self.refuse(exchange) }
        polling.postBegan(exchange)
    }

    /// A POST that was let in is read; it may be that the session has changed its transport since.
    ///
    /// - Parameter packets: `nil` if they are malformed.
    func postEnded(_ exchange: HTTPExchange, _ packets: [EnginePacket]?) {
        guard exchange.isAccepted else { return }
        let polling = self.polling
        polling?.postEnded(exchange)
        for packet in packets ?? [] where !self.isClosed { self.receive(packet) }
        if packets == nil {
            EngineMetrics.shared.protocolErrors.increment()
            self.close(.parseError)
        }
        let isBroken = packets == nil || polling?.closeReason == .parseError
        exchange.answer(isBroken ? .refusal(.badRequest) : .taken)
    }

    /// A POST that was let in is answered by somebody else: it was too large.
    func postDropped(_ exchange: HTTPExchange) { self.polling?.postEnded(exchange) }

    /// The connection of a request ended before its answer.
    func cut(_ exchange: HTTPExchange) {
        if self.polling?.forget(exchange) == true { self.close(.transportError) }
    }

    private func refuse(_ exchange: HTTPExchange) {
        exchange.answer(.refusal(self.isClosed ? .unknownSession : .badRequest))
    }

    func upgradeBegan(_ socket: UpgradingSocket) {
        guard !self.isClosed, let polling = self.polling, polling.upgradeBegan(socket) else {
            return socket.abandon(.forcedClose)
        }
    }

    /// A packet over a WebSocket that is to take over, or has.
    func receive(_ packet: EnginePacket, over socket: UpgradingSocket) {
        if self.transport === socket {
            self.receive(packet)
        } else if let polling = self.polling {
            polling.probe(packet, socket)
        }
    }

    func upgradeEnded(_ socket: UpgradingSocket, _ reason: EngineCloseReason) {
        if self.transport === socket { self.close(reason) } else { self.polling?.upgradeEnded(socket) }
    }

    /// From here on `next` carries the session, beginning with what no poll has fetched.
    ///
    /// - Parameter closing: why the session was closed meanwhile: `next` then carries the end of it.
    func upgrade(
        to next: any EngineTransport,
        _ queued: CircularBuffer<EngineMessage>,
        closing reason: EngineCloseReason?
    ) {
        self.transport = next
        for message in queued { next.send(message) }
        guard let reason else { return }
        next.close(reason)
        self.release()
    }
}
