import EngineIO
import NIOCore

/// One Engine.IO session on the loop of its handshake.
///
/// It owns the state machine and whatever transport carries it, and tells its application what arrives.
/// Touched on its loop only, which is what makes it Sendable.
final class EngineSession: EngineConnection, @unchecked Sendable {
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
        self.loop.server.sessionOpened()
        if let deadline = self.state.nextDeadline { self.loop.schedulePing(of: self, at: deadline) }
        transport.send(self.loop.server.handshake(sid: self.sid, upgrades: []))
        self.receiver = self.loop.server.application.connected(self)
    }

    // MARK: From the application

    func send(_ message: EngineMessage) {
        guard !self.state.isClosed else { return }
        self.transport?.send(message)
    }

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
        self.transport = nil
        self.receiver = nil
        transport?.close(reason)
        receiver?.closed(reason)
    }
}
