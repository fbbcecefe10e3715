import EngineIO
import FoundationEssentials
package import NIOCore
import NIOFoundationCompat
import NIOWebSocket
package import SocketIO

/// One Socket.IO 5 connection over WebSocket, as socket.io-client makes them, small enough for ten thousand in a process.
///
/// Everything, the callback too, happens on ``eventLoop``, which is what makes it Sendable; there is no task behind a
/// client. Binary messages are refused: a server that sends one is disconnected from.
///
/// - Bounds: those of ``ClientConfiguration``.
/// - Source: Engine.IO protocol 4, Socket.IO protocol 5.
package final class SocketIOClient: @unchecked Sendable {
    private enum State {
        case idle
        /// TCP, TLS and the handshake are under way, or the namespace has not answered.
        case opening((any Channel)?)
        case connected(any Channel)
        case waiting(Scheduled<Void>)
    }

    private struct PendingAck {
        let answered: (Result<[RawJSON], AckFailure>) -> Void
        let timeout: Scheduled<Void>
    }

    /// The first packet of a server.
    private struct Opening: Decodable {
        let pingInterval: Int64
        let pingTimeout: Int64
    }

    package let eventLoop: any EventLoop
    private let connector: ClientConnector
    private let configuration: ClientConfiguration
    /// Cleared by ``disconnect()``, so that a client and its owner do not keep each other.
    private var tell: ((ClientEvent) -> Void)?
    private var state = State.idle
    /// Raised by each attempt, so that what an earlier one still has to say is known to be late.
    private var attempt = 0
    private var backoff: Backoff
    private var deadline: Scheduled<Void>?
    private var silence = TimeAmount.seconds(45)
    private var heardAt = NIODeadline.now()
    private var nextAck = 0
    private var acks: [Int: PendingAck] = [:]

    package init(
        _ connector: ClientConnector,
        _ configuration: ClientConfiguration,
        on eventLoop: any EventLoop,
        tell: @escaping @Sendable (ClientEvent) -> Void
    ) {
        self.connector = connector
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.tell = tell
        self.backoff = configuration.backoff
    }

    package var isConnected: Bool { if case .connected = self.state { true } else { false } }

    // MARK: Connecting

    /// Starts to connect; what becomes of it is told. Does nothing unless the client is idle.
    package func connect() {
        self.eventLoop.preconditionInEventLoop()
        guard case .idle = self.state else { return }
        self.open()
    }

    private func open() {
        self.attempt += 1
        let attempt = self.attempt
        self.state = .opening(nil)
        self.deadline = self.eventLoop.scheduleTask(in: self.configuration.connectTimeout) { [weak self] in
            guard let self, self.attempt == attempt, !self.isConnected else { return }
            self.lost(.failed("no connection within \(self.configuration.connectTimeout.nanoseconds / 1_000_000) ms"))
        }
        self.connector.open(on: self.eventLoop, self.configuration) { ClientHandler(self) }
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    guard self.attempt == attempt, case .opening = self.state else {
                        return channel.close(promise: nil)
                    }
                    self.state = .opening(channel)
                case .failure(let error):
                    if self.attempt == attempt { self.lost(.failed("\(error)")) }
                }
            }
    }

    /// Takes leave of the server; nothing is told after it.
    package func disconnect() {
        self.eventLoop.preconditionInEventLoop()
        self.tell = nil
        if case .connected(let channel) = self.state {
            self.send(EncodedPacket.disconnected(self.configuration.namespace).text, over: channel)
            var code = ByteBuffer()
            code.write(webSocketErrorCode: .normalClosure)
            let frame = WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: code)
            channel.writeAndFlush(frame, promise: nil)
        }
        self.end(.byClient)
    }

    /// The network goes: the connection ends without a word to the server. Nothing is told after it.
    package func cut() {
        self.eventLoop.preconditionInEventLoop()
        self.tell = nil
        self.end(.byClient)
    }

    // MARK: Ending

    private func lost(_ reason: ClientDisconnect) {
        self.end(reason)
        guard self.configuration.reconnects, reason != .byServer, self.tell != nil else { return }
        let wait = self.backoff.next(random: .random(in: 0...1))
        self.state = .waiting(
            self.eventLoop.scheduleTask(in: .init(wait)) { [weak self] in
                guard let self, case .waiting = self.state else { return }
                self.open()
            }
        )
        self.tell?(.reconnecting(attempt: self.backoff.attempts, after: wait))
    }

    private func end(_ reason: ClientDisconnect) {
        self.attempt += 1
        self.deadline?.cancel()
        let before = self.state
        // First, because closing a channel may tell of its end at once.
        self.state = .idle
        switch before {
        case .idle: return
        case .waiting(let timer): timer.cancel()
        case .opening(let channel): channel?.close(promise: nil)
        case .connected(let channel): channel.close(promise: nil)
        }
        let unanswered = self.acks
        self.acks = [:]
        for ack in unanswered.values {
            ack.timeout.cancel()
            ack.answered(.failure(.disconnected))
        }
        self.tell?(.disconnected(reason))
    }

    // MARK: From the channel

    private func isCurrent(_ channel: any Channel) -> Bool {
        switch self.state {
        // The first packet may come before the future of the channel is complete.
        case .opening(let current): current == nil || current === channel
        case .connected(let current): current === channel
        case .idle, .waiting: false
        }
    }

    func closed(_ channel: any Channel) {
        if self.isCurrent(channel) { self.lost(.transportClose) }
    }

    func receivedBinary(over channel: any Channel) {
        if self.isCurrent(channel) { self.lost(.failed("the server sent a binary message")) }
    }

    func received(_ text: ByteBuffer, over channel: any Channel) {
        guard self.isCurrent(channel) else { return }
        self.heardAt = .now()
        do {
            switch try EnginePacket(text: text) {
            case .open(let data):
                self.state = .opening(channel)
                let opening = try JSONDecoder().decode(Opening.self, from: data)
                // A server's numbers are its own; a timer's must be sane.
                let silence = min(max(opening.pingInterval, 0), 3_600_000) + min(max(opening.pingTimeout, 0), 3_600_000)
                self.silence = .milliseconds(silence)
                let configuration = self.configuration
                self.send(EncodedPacket.connect(configuration.namespace, auth: configuration.auth).text, over: channel)
            case .ping(let data): self.send(EngineMessage(.pong, data: data.readableBytesView), over: channel)
            case .text(let data): try self.handle(SocketPacket(data, from: .server), channel)
            case .close: self.lost(.transportClose)
            case .binary, .pong, .upgrade, .noop: break
            }
        } catch {
            self.lost(.failed("the server broke the protocol: \(error)"))
        }
    }

    private func handle(_ packet: SocketPacket, _ channel: any Channel) throws {
        guard packet.namespace == self.configuration.namespace else { return }
        switch packet.type {
        case .connect:
            struct Accepted: Decodable { let sid: String }
            guard case .opening = self.state, let data = packet.data else { return }
            let accepted = try JSONDecoder().decode(Accepted.self, from: packet.slice(data))
            self.state = .connected(channel)
            self.backoff.reset()
            self.watchSilence()
            self.tell?(.connected(id: accepted.sid))
        case .connectError:
            struct Refusal: Decodable {
                let message: String
                let data: RawJSON?
            }
            let refusal = try packet.data.map { try JSONDecoder().decode(Refusal.self, from: packet.slice($0)) }
            // Said in place of a disconnection, which would count as a lost network.
            let tell = self.tell
            self.tell = nil
            self.end(.byServer)
            self.tell = tell
            tell?(.refused(ConnectError(message: refusal?.message ?? "", data: refusal?.data)))
        case .disconnect: self.lost(.byServer)
        case .event:
            let arguments = packet.elements.dropFirst().map { RawJSON(trusted: packet.slice($0)) }
            self.tell?(.event(packet.name, arguments))
        case .ack:
            guard let id = packet.id, let ack = self.acks.removeValue(forKey: id) else { return }
            ack.timeout.cancel()
            ack.answered(.success(packet.elements.map { RawJSON(trusted: packet.slice($0)) }))
        case .binaryEvent, .binaryAck: self.lost(.failed("the server sent a binary message"))
        }
    }

    /// One timer a connection, moved only when it fires: a server that says nothing for its own time is gone.
    private func watchSilence() {
        self.deadline?.cancel()
        let attempt = self.attempt
        self.deadline = self.eventLoop.scheduleTask(deadline: self.heardAt + self.silence) { [weak self] in
            guard let self, self.attempt == attempt else { return }
            if NIODeadline.now() - self.heardAt >= self.silence { self.lost(.pingTimeout) } else { self.watchSilence() }
        }
    }

    // MARK: Sending

    private func send(_ message: EngineMessage, over channel: any Channel) {
        let frame = WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: message.payload)
        channel.writeAndFlush(frame, promise: nil)
        let waiting = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        if waiting > self.configuration.maxPendingBytes { self.lost(.failed("the server does not read")) }
    }

    /// Sends an event; false if there is no connection to send it over.
    @discardableResult package func emit(_ event: String, _ arguments: [RawJSON]) -> Bool {
        self.eventLoop.preconditionInEventLoop()
        guard case .connected(let channel) = self.state, arguments.allSatisfy({ $0.attachments.isEmpty }) else {
            return false
        }
        self.send(EncodedPacket.event(self.configuration.namespace, event, arguments).text, over: channel)
        return true
    }

    /// Sends an event that wants an acknowledgement; `answered` is called once, whatever happens.
    package func emit(
        _ event: String,
        _ arguments: [RawJSON],
        timeout: TimeAmount,
        answered: @escaping (Result<[RawJSON], AckFailure>) -> Void
    ) {
        self.eventLoop.preconditionInEventLoop()
        guard case .connected(let channel) = self.state else { return answered(.failure(.notConnected)) }
        guard arguments.allSatisfy({ $0.attachments.isEmpty }) else { return answered(.failure(.binary)) }
        guard self.acks.count < self.configuration.maxPendingAcks else { return answered(.failure(.tooMany)) }
        let id = self.nextAck
        self.nextAck += 1
        let timer = self.eventLoop.scheduleTask(in: timeout) { [weak self] in
            if let ack = self?.acks.removeValue(forKey: id) { ack.answered(.failure(.timeout)) }
        }
        self.acks[id] = PendingAck(answered: answered, timeout: timer)
        self.send(EncodedPacket.event(self.configuration.namespace, event, arguments, id: id).text, over: channel)
    }
}
