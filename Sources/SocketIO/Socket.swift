import EngineIO
package import NIOCore
import Synchronization

/// One client in one namespace.
///
/// May be used from any thread: calls hop to the connection's event loop, where its state lives, and keep the order
/// in which one thread made them. Everything but `data` and `isConnected` is touched on that loop only, which is
/// what makes the class Sendable.
package final class Socket: @unchecked Sendable {
    package let id: String
    package let namespace: Namespace
    /// Lives as long as one of its sockets is known to anybody.
    private let server: SocketIOServer
    package let eventLoop: any EventLoop
    package let handshake: Handshake

    let shard: NamespaceShard
    /// What makes the socket recoverable; `nil` unless the server is told to.
    package let session: RecoverySession?
    /// `nil` once the socket is disconnected, which is what breaks the circle of references.
    private(set) var client: SocketClient?

    // MARK: State on the loop

    /// The rooms this socket is in, and its place in each; the first is the namespace itself.
    var memberships: ContiguousArray<LocalRoom.Membership> = []
    private let queue = HandlerQueue()
    private var own: OwnHandlers?
    private var pendingAcks: [Int: PendingAck]?
    private var nextAckID = 0
    private(set) var isJoined = false

    // MARK: State for all threads

    private let dataBox = Mutex<(any Sendable)?>(nil)
    private let connectedFlag = Atomic<Bool>(false)

    /// Handlers of one socket alone; few sockets have any.
    private final class OwnHandlers {
        var events: [String: EventHandler] = [:]
        var disconnect: [DisconnectHandler] = []
        var any: [@Sendable (SocketEvent) -> Void] = []
        var anyOutgoing: [@Sendable (SocketEvent) -> Void] = []
    }

    private struct PendingAck {
        var complete: @Sendable (Result<SocketEvent, AckError>) -> Void
        var timeout: Scheduled<Void>?
    }

    init(
        id: String,
        namespace: Namespace,
        shard: NamespaceShard,
        client: SocketClient,
        auth: RawJSON,
        session: RecoverySession? = nil
    ) {
        self.id = id
        self.namespace = namespace
        self.server = namespace.server
        self.shard = shard
        self.client = client
        self.session = session
        self.eventLoop = shard.eventLoop
        self.handshake = Handshake(auth: auth, request: client.connection.request)
    }

    package var isConnected: Bool { self.connectedFlag.load(ordering: .acquiring) }

    /// Whether this is an earlier socket that has come back: its id, rooms and data are restored, and what it missed
    /// is sent before anything else.
    package var recovered: Bool { self.session?.isRecovered ?? false }

    /// Whatever you want to keep with the socket. Any thread.
    ///
    /// A recovered socket has the data of its predecessor. Between nodes they travel as JSON: what is neither
    /// ``RawJSON`` nor `Encodable` stays behind, and what arrives is ``RawJSON``, which ``data(as:)`` decodes.
    package var data: (any Sendable)? {
        get { self.dataBox.withLock { $0 } }
        set {
            self.dataBox.withLock { $0 = newValue }
            if self.session != nil { self.namespace.recovery?.dataChanged(of: self) }
        }
    }

    /// Sets ``data`` and returns when a client that comes back to another node would find them there.
    ///
    /// Await it before you tell the client of the change. At once without recovery, and if the store cannot be reached.
    package func setData(_ data: (any Sendable)?) async {
        guard self.session != nil, let recovery = self.namespace.recovery else {
            self.data = data
            return
        }
        self.dataBox.withLock { $0 = data }
        await withCheckedContinuation { continuation in
            recovery.dataChanged(of: self) { continuation.resume() }
        }
    }

    /// Sets what a store has kept: it need not be told.
    func restore(data: (any Sendable)?) { self.dataBox.withLock { $0 = data } }

    package func data<T: Sendable>(as type: T.Type) -> T? {
        let data = self.data
        if let value = data as? T { return value }
        guard let raw = data as? RawJSON, let type = type as? any (Decodable & Sendable).Type else { return nil }
        return (try? raw.decode(type)) as? T
    }

    // MARK: Emitting

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.sendEvent(.event(self.namespace.name, event, encodeArguments(arguments)))
    }

    /// Emits arguments that are JSON already.
    package func emit(_ event: String, arguments: [RawJSON]) {
        self.sendEvent(.event(self.namespace.name, event, arguments))
    }

    /// Emits one argument that is JSON already.
    package func emit(_ event: String, raw: ByteBuffer) {
        self.sendEvent(.event(self.namespace.name, event, [RawJSON(trusted: raw)]))
    }

    package func emit(prepared: PreparedEvent) { self.sendEvent(prepared.packet) }

    /// Emits what `decide` says on the loop, if anything.
    ///
    /// What is emitted on the loop is written at once, and overtakes what other threads have emitted and the loop has not
    /// come to. Who says something that depends on what was said before decides it here: nothing comes in between.
    package func emit(deciding decide: @escaping @Sendable () -> PreparedEvent?) {
        self.onLoop { if let event = decide() { self.sendEvent(event.packet) } }
    }

    /// Emits what the client may miss: it is dropped if the client has not taken what was sent before.
    package var volatile: VolatileSocket { VolatileSocket(socket: self) }

    /// Emits an event and waits for the client's answer.
    package func emitWithAck(
        _ event: String,
        _ arguments: any Encodable & Sendable...,
        timeout: TimeAmount
    ) async throws -> SocketEvent {
        let arguments = encodeArguments(arguments)
        return try await withCheckedThrowingContinuation { continuation in
            self.emit(event, arguments: arguments, timeout: timeout) { result in
                continuation.resume(with: result.mapError { $0 as any Error })
            }
        }
    }

    /// The same with the answer's first argument decoded.
    package func emitWithAck<T: Decodable & Sendable>(
        _ event: String,
        _ arguments: any Encodable & Sendable...,
        as type: T.Type,
        timeout: TimeAmount
    ) async throws -> T {
        let arguments = encodeArguments(arguments)
        let answer = try await withCheckedThrowingContinuation { continuation in
            self.emit(event, arguments: arguments, timeout: timeout) { result in
                continuation.resume(with: result.mapError { $0 as any Error })
            }
        }
        return try answer.decode(type)
    }

    /// Emits an event; `completion` runs on the loop with the answer, or without one at the timeout or disconnect.
    package func emit(
        _ event: String,
        arguments: [RawJSON],
        timeout: TimeAmount?,
        completion: @escaping @Sendable (Result<SocketEvent, AckError>) -> Void
    ) {
        self.onLoop {
            guard self.isJoined else { return completion(.failure(.disconnected)) }
            guard (self.pendingAcks?.count ?? 0) < self.namespace.server.configuration.maxPendingAcks else {
                return completion(.failure(.tooMany))
            }
            let id = self.nextAckID
            self.nextAckID += 1
            let timer = timeout.map { timeout in
                self.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
                    if let late = self.pendingAcks?.removeValue(forKey: id) { late.complete(.failure(.timeout)) }
                }
            }
            self.pendingAcks = self.pendingAcks ?? [:]
            self.pendingAcks?[id] = PendingAck(complete: completion, timeout: timer)
            self.write(.event(self.namespace.name, event, arguments, id: id))
        }
    }

    /// On the loop: an acknowledgement under an id that a broadcast has chosen.
    func expectAck(_ id: Int, _ completion: @escaping @Sendable (Result<SocketEvent, AckError>) -> Void) {
        guard self.isJoined, (self.pendingAcks?.count ?? 0) < self.namespace.server.configuration.maxPendingAcks else {
            return completion(.failure(.tooMany))
        }
        self.pendingAcks = self.pendingAcks ?? [:]
        self.pendingAcks?[id] = PendingAck(complete: completion, timeout: nil)
    }

    func giveUpAck(_ id: Int) {
        self.pendingAcks?.removeValue(forKey: id)?.complete(.failure(.timeout))
    }

    /// To others: all of the namespace, or of the rooms named, without this socket.
    package var broadcast: BroadcastOperator { BroadcastOperator(self.namespace).except(self.id) }
    package func to(_ rooms: String...) -> BroadcastOperator { self.broadcast.to(rooms) }
    package func `in`(_ rooms: String...) -> BroadcastOperator { self.broadcast.to(rooms) }
    package func except(_ rooms: String...) -> BroadcastOperator { self.broadcast.except(rooms) }

    /// An event without acknowledgement, which a client that comes back can be sent again.
    private func sendEvent(_ packet: EncodedPacket) {
        guard let recovery = self.namespace.recovery else { return self.send(packet) }
        self.onLoop { recovery.emit(packet, to: self) }
    }

    func send(_ packet: EncodedPacket) {
        self.onLoop { self.write(packet) }
    }

    /// On the loop: the packet's frames go to the connection.
    func write(_ packet: EncodedPacket) {
        guard let client = self.client, self.isJoined else { return }
        if let own, !own.anyOutgoing.isEmpty { self.tell(own.anyOutgoing, packet) }
        client.connection.send(packet.text)
        for attachment in packet.attachments { client.connection.send(attachment) }
    }

    /// Packets are encoded once for all that get them: who wants to see one again pays for reading it.
    private func tell(_ listeners: [@Sendable (SocketEvent) -> Void], _ encoded: EncodedPacket) {
        // Behind the digit that makes it a message of Engine.IO. Our own values may be deeper than a client's.
        var text = encoded.text.payload
        text.moveReaderIndex(forwardBy: 1)
        guard let packet = try? SocketPacket(text, maxJSONDepth: 512),
            packet.type == .event || packet.type == .binaryEvent
        else { return }
        let event = SocketEvent(
            packet,
            attachments: encoded.attachments.map(\.payload),
            ack: Ack(socket: self, id: nil)
        )
        for listener in listeners { listener(event) }
    }

    var hasUnsentBytes: Bool { self.client?.connection.hasUnsentBytes ?? false }

    // MARK: Rooms

    /// Joins rooms and returns when other nodes' broadcasts to them arrive here, and a client that comes back to another
    /// node would be in them.
    ///
    /// If the adapter has lost its store, the socket is a member all the same and the subscription follows.
    package func join(_ rooms: String...) async {
        await withCheckedContinuation { continuation in
            self.onLoop {
                let stored = rooms.map { room in
                    let stored = self.eventLoop.makePromise(of: Void.self)
                    self.shard.join(self, room) { stored.succeed() }
                    return stored.futureResult
                }
                EventLoopFuture.andAllComplete(stored, on: self.eventLoop).whenComplete { _ in continuation.resume() }
            }
        }
        for room in rooms { await self.namespace.server.adapter?.ready(room, namespace: self.namespace.name) }
    }

    package func leave(_ rooms: String...) async {
        await withCheckedContinuation { continuation in
            self.onLoop {
                for room in rooms { self.shard.leave(self, room) }
                continuation.resume()
            }
        }
    }

    package func joinInline(_ rooms: String...) {
        self.onLoop { for room in rooms { self.shard.join(self, room) } }
    }

    package func leaveInline(_ rooms: String...) {
        self.onLoop { for room in rooms { self.shard.leave(self, room) } }
    }

    /// The rooms the socket is in; its own id is one of them.
    package var rooms: Set<String> {
        get async {
            await withCheckedContinuation { continuation in
                self.onLoop { continuation.resume(returning: self.roomsOnLoop) }
            }
        }
    }

    /// The same, for handlers on the loop.
    package var roomsOnLoop: Set<String> {
        guard self.isJoined else { return [] }
        return Set(self.memberships.dropFirst().map(\.room.name)).union([self.id])
    }

    // MARK: Handlers of this socket alone

    package func on(_ event: String, _ body: @escaping @Sendable (SocketEvent) async -> Void) {
        self.set(event, .queued { _, event in await body(event) })
    }

    package func on(_ event: String, inline body: @escaping @Sendable (SocketEvent) -> Void) {
        self.set(event, .inline { _, event in body(event) })
    }

    package func onDisconnect(_ body: @escaping @Sendable (DisconnectReason) async -> Void) {
        self.changeOwn { $0.disconnect.append(.queued { await body($1) }) }
    }

    package func onDisconnect(inline body: @escaping @Sendable (DisconnectReason) -> Void) {
        self.changeOwn { $0.disconnect.append(.inline { body($1) }) }
    }

    /// Sees every event of this socket before its handler, on the loop.
    package func onAny(inline body: @escaping @Sendable (SocketEvent) -> Void) {
        self.changeOwn { $0.any.append(body) }
    }

    /// Sees every event that is sent to this socket, broadcasts included, before it leaves, on the loop.
    ///
    /// A recoverable event has its offset as the last argument. For debugging: each event is parsed for it.
    package func onAnyOutgoing(inline body: @escaping @Sendable (SocketEvent) -> Void) {
        self.changeOwn { $0.anyOutgoing.append(body) }
    }

    /// Takes back this socket's own handler of an event.
    package func off(_ event: String) { self.changeOwn { $0.events[event] = nil } }

    func set(_ event: String, _ handler: EventHandler) { self.changeOwn { $0.events[event] = handler } }

    private func changeOwn(_ body: @escaping @Sendable (OwnHandlers) -> Void) {
        self.onLoop {
            // One that has left would keep itself alive through its handlers.
            guard self.client != nil else { return }
            let own = self.own ?? OwnHandlers()
            self.own = own
            body(own)
        }
    }

    // MARK: Leaving

    /// Takes the socket out of its namespace; with `close`, ends its whole connection.
    package func disconnect(close: Bool = false) {
        guard let recovery = self.namespace.recovery else { return self.leaveNamespace(close: close) }
        recovery.afterBroadcasts { self.leaveNamespace(close: close) }
    }

    private func leaveNamespace(close: Bool) {
        self.onLoop {
            guard let client = self.client else { return }
            self.write(.disconnected(self.namespace.name))
            client.remove(self, reason: .serverNamespaceDisconnect)
            if close { client.closeAll() }
        }
    }

    /// Ends the connection without taking leave of the namespace, as a lost network would.
    ///
    /// Clients take a disconnect for the server's last word and stay away; after this one they come back by
    /// themselves. Meant for a node that is leaving.
    package func closeConnection() {
        self.onLoop { self.client?.closeConnection() }
    }

    // MARK: On the loop, from the client

    func connected() {
        self.isJoined = true
        self.connectedFlag.store(true, ordering: .releasing)
        self.shard.add(self)
        if let session = self.session {
            self.begin(session)
        } else {
            self.write(.connected(self.namespace.name, id: self.id))
        }
        for handler in self.shard.handlers.connection { self.submit(.connection(handler)) }
    }

    func received(_ packet: SocketPacket, attachments: [ByteBuffer]) {
        switch packet.type {
        case .event, .binaryEvent:
            let event = SocketEvent(packet, attachments: attachments, ack: Ack(socket: self, id: packet.id))
            let handlers = self.shard.handlers
            for handler in handlers.any { handler(self, event) }
            for handler in self.own?.any ?? [] { handler(event) }
            if let handler = self.own?.events[event.name] ?? handlers.events[event.name] {
                // Nearly always, and then there is no job to make.
                if case .inline(let body) = handler, self.queue.isIdle { return body(self, event) }
                self.submit(.event(event, handler))
            } else {
                handlers.unknownEvent?(self, event)
            }
        case .ack, .binaryAck:
            guard let id = packet.id, let pending = self.pendingAcks?.removeValue(forKey: id) else { return }
            pending.timeout?.cancel()
            pending.complete(
                .success(SocketEvent(packet, attachments: attachments, ack: Ack(socket: self, id: nil)))
            )
        case .connect, .disconnect, .connectError:
            break  // Not for a socket: the client has dealt with them.
        }
    }

    func disconnected(_ reason: DisconnectReason) {
        guard self.isJoined else { return }
        self.isJoined = false
        self.connectedFlag.store(false, ordering: .releasing)
        if let session = self.session { self.end(session, reason) }
        self.shard.remove(self)
        let acks = self.pendingAcks
        self.pendingAcks = nil
        for pending in (acks ?? [:]).values {
            pending.timeout?.cancel()
            pending.complete(.failure(.disconnected))
        }
        for handler in self.shard.handlers.disconnect + (self.own?.disconnect ?? []) {
            self.submit(.disconnect(handler, reason))
        }
        self.letGo()
    }

    /// Breaks the circles of references: with the connection, and with handlers that know this socket.
    func letGo() {
        self.session?.abandonRestore()
        self.client = nil
        self.own = nil
    }

    private func submit(_ job: HandlerJob) {
        let bound = self.namespace.server.configuration.maxPendingEvents
        if !self.queue.submit(job, of: self, maxPending: bound) {
            SocketIOMetrics.shared.flooded()
            self.client?.connection.close(.tooManyEvents)
        }
    }

    func onLoop(_ body: @escaping @Sendable () -> Void) {
        let isNext = self.eventLoop.inEventLoop && self.shard.recovery?.isBehind != true
        if isNext { body() } else { self.eventLoop.execute(body) }
    }
}
