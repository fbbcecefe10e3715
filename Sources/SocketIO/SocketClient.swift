import EngineIO
import Logging
import NIOCore

/// One Engine.IO connection: reads its Socket.IO packets and keeps its sockets, one per namespace.
///
/// Anything the protocol forbids ends the whole connection. Touched on its loop only, which is what makes it Sendable.
final class SocketClient: EngineReceiver, @unchecked Sendable {
    let connection: any EngineConnection
    let server: SocketIOServer
    let loopIndex: Int
    /// The place in the loop's list of those who have not joined; written by it.
    var ticket = 0
    /// Few: at most `maxNamespacesPerConnection`, nearly always one.
    private var sockets: [Socket] = []
    /// Namespaces whose middleware has not decided.
    private var pending: [Socket] = []
    /// Namespaces whose sessions are being looked for or read.
    var restoring: [String] = []
    /// An event whose attachments are still to come.
    private var unfinished: UnfinishedPacket?
    private var hasConnected = false
    private(set) var isClosed = false
    private var secondStart = NIODeadline.uptimeNanoseconds(0)
    private var eventsThisSecond = 0

    init(connection: any EngineConnection, server: SocketIOServer, loopIndex: Int) {
        self.connection = connection
        self.server = server
        self.loopIndex = loopIndex
    }

    // MARK: Packets

    func receive(text: ByteBuffer) {
        guard self.unfinished == nil else { return self.fail() }
        let packet: SocketPacket
        do {
            packet = try SocketPacket(text, maxJSONDepth: self.server.configuration.maxJSONDepth)
        } catch {
            self.server.logger.trace("invalid packet", metadata: ["error": "\(error)"])
            return self.fail()
        }
        if packet.attachmentCount > 0 {
            self.unfinished = UnfinishedPacket(packet)
            self.server.loops[self.loopIndex].awaitsAttachment(self)
        } else {
            self.receive(packet, attachments: [])
        }
    }

    func receive(binary: ByteBuffer) {
        guard let unfinished = self.unfinished else { return self.fail() }
        unfinished.attachments.append(binary)
        if unfinished.attachments.count == unfinished.packet.attachmentCount {
            self.unfinished = nil
            self.server.loops[self.loopIndex].hasAttachments(self)
            self.receive(unfinished.packet, attachments: unfinished.attachments)
        } else {
            self.server.loops[self.loopIndex].awaitsAttachment(self)
        }
    }

    func attachmentTimedOut() {
        if self.unfinished != nil { self.fail() }
    }

    private func receive(_ packet: SocketPacket, attachments: [ByteBuffer]) {
        guard self.isWithinRate() else {
            SocketIOMetrics.shared.flooded()
            return self.connection.close(.tooManyEvents)
        }
        switch packet.type {
        case .connect:
            self.connect(packet)
        case .disconnect:
            guard let socket = self.socket(in: packet.namespace) else { return self.fail() }
            self.remove(socket, reason: .clientNamespaceDisconnect)
        case .event, .binaryEvent, .ack, .binaryAck:
            guard let socket = self.socket(in: packet.namespace) else { return self.fail() }
            SocketIOMetrics.shared.eventReceived()
            socket.received(packet, attachments: attachments)
        case .connectError:
            self.fail()
        }
    }

    private func fail() {
        SocketIOMetrics.shared.invalidPacket()
        self.connection.close(.parseError)
    }

    /// Counts packets in seconds that begin with the first one of each.
    private func isWithinRate() -> Bool {
        guard let limit = self.server.configuration.maxEventsPerSecond else { return true }
        let now = NIODeadline.now()
        if now - self.secondStart >= .seconds(1) {
            self.secondStart = now
            self.eventsThisSecond = 0
        }
        self.eventsThisSecond += 1
        return self.eventsThisSecond <= limit
    }

    private func socket(in namespace: String) -> Socket? {
        self.sockets.first { $0.namespace.name == namespace }
    }

    // MARK: Joining namespaces

    private func connect(_ packet: SocketPacket) {
        guard self.socket(in: packet.namespace) == nil,
            !self.pending.contains(where: { $0.namespace.name == packet.namespace }),
            !self.restoring.contains(packet.namespace),
            self.sockets.count + self.pending.count + self.restoring.count
                < self.server.configuration.maxNamespacesPerConnection
        else { return self.fail() }
        guard let namespace = self.server.namespace(named: packet.namespace) else {
            SocketIOMetrics.shared.connectRefused()
            return self.send(.refused(packet.namespace, ConnectError(message: "Invalid namespace")))
        }
        // A copy: a slice would keep the buffer it was read into for as long as the socket lives.
        let auth = packet.data.map { RawJSON(trusted: ByteBuffer(bytes: packet.slice($0).readableBytesView)) }
        if let recovery = namespace.recovery, let auth,
            let request = Self.recoveryRequest(auth, namespace: namespace.name)
        {
            return self.recover(request, recovery, namespace, auth: auth)
        }
        self.connect(to: namespace, auth: auth ?? .emptyObject)
    }

    /// A client without an earlier session, or without one that can be had.

    func connect(to namespace: Namespace, auth: RawJSON) {
        if let store = namespace.recovery?.store, store.epoch(of: namespace.name) == nil {
            return self.connect(to: namespace, auth: auth, whenPrepared: store)
        }
        self.open(namespace, auth: auth)
    }

    func open(_ namespace: Namespace, auth: RawJSON) {
        let id = SessionID.random()
        let socket = Socket(
            id: id,
            namespace: namespace,
            shard: namespace.shards[self.loopIndex],
            client: self,
            auth: auth,
            session: namespace.recovery.map { _ in RecoverySession(sid: id, namespace: namespace.name) }
        )
        self.decide(socket)
    }

    /// Runs the middleware: on the loop as far as it can be, in a task from the first step that has to wait.
    func decide(_ socket: Socket) {
        socket.shard.refreshHandlers()
        var rest = socket.shard.handlers.middleware[...]
        while case .inline(let step)? = rest.first {
            rest.removeFirst()
            do {
                try step(socket)
            } catch {
                return self.decided(socket, ConnectError(describing: error))
            }
        }
        self.pending.append(socket)
        guard !rest.isEmpty else {
            // In a later tick: an event that came in the same read was sent before the answer to CONNECT, which the
            // protocol forbids, and finds nothing that it belongs to. A weak reference would make each later use of
            // this object dearer.
            return socket.eventLoop.execute { self.decided(socket, nil) }
        }
        let steps = rest
        // Nobody awaits this task: it ends with the middleware, whose time the connect timeout bounds for the
        // client, and its result comes back to the loop. It does not keep the client: it may never end. It runs on
        // the loop, because in a storm of connections the threads that it would wake cost more than the middleware.
        Task(executorPreference: self.server.loops[self.loopIndex].executor) { [weak self] in
            var refusal: ConnectError?
            do {
                for step in steps {
                    switch step {
                    case .queued(let body): try await body(socket)
                    case .inline(let body): try await socket.eventLoop.submit { try body(socket) }.get()
                    }
                }
            } catch {
                refusal = ConnectError(describing: error)
            }
            let outcome = refusal
            socket.onLoop { [weak self] in self?.decided(socket, outcome) }
        }
    }

    private func decided(_ socket: Socket, _ refusal: ConnectError?) {
        self.pending.removeAll { $0 === socket }
        guard !self.isClosed else { return }
        if let refusal {
            socket.letGo()
            SocketIOMetrics.shared.connectRefused()
            self.send(.refused(socket.namespace.name, refusal))
        } else {
            self.accept(socket)
        }
    }

    func accept(_ socket: Socket) {
        if let restore = socket.session?.restore { return self.replay(restore) }
        if !self.hasConnected {
            self.hasConnected = true
            self.server.loops[self.loopIndex].connected(self)
        }
        self.sockets.append(socket)
        SocketIOMetrics.shared.socketConnected()
        socket.connected()
        self.connection.flush()
    }

    private func send(_ packet: EncodedPacket) { self.connection.send(packet.text) }

    // MARK: Leaving

    func remove(_ socket: Socket, reason: DisconnectReason) {
        self.sockets.removeAll { $0 === socket }
        socket.disconnected(reason)
    }

    /// Leaves every namespace with a word, then closes.
    func closeAll() {
        for socket in self.sockets {
            socket.write(.disconnected(socket.namespace.name))
            self.remove(socket, reason: .serverNamespaceDisconnect)
        }
        self.connection.close(.forcedClose)
    }

    /// Another connection has taken the socket's session over: this one is out of order, whatever it looks like.
    func removeSuperseded(_ socket: Socket) {
        self.remove(socket, reason: .transportClose)
        if self.sockets.isEmpty { self.connection.close(.transportClose) }
    }

    func closeConnection() {
        self.connection.close(.forcedClose)
    }

    func connectTimedOut() {
        if !self.hasConnected { self.connection.close(.forcedClose) }
    }

    func closed(_ reason: EngineCloseReason) {
        self.isClosed = true
        if self.unfinished != nil { self.server.loops[self.loopIndex].hasAttachments(self) }
        self.unfinished = nil
        // Their middleware may never return.
        for socket in self.pending { socket.letGo() }
        self.pending = []
        self.server.loops[self.loopIndex].connected(self)
        let sockets = self.sockets
        self.sockets = []
        for socket in sockets { socket.disconnected(DisconnectReason(rawValue: reason.rawValue)) }
    }
}

/// A binary event on its way: its text has come, its attachments have not.
///
/// - Bounds: at most ten attachments, each at most the engine's `maxPayload`; each has `attachmentTimeout` to come.
private final class UnfinishedPacket {
    let packet: SocketPacket
    var attachments: [ByteBuffer] = []

    init(_ packet: SocketPacket) { self.packet = packet }
}
