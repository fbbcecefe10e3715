package import NIOCore
import Synchronization

/// A namespace: handlers, sockets and rooms of its own.
///
/// Give it its handlers before the server runs; later ones are called from the next event on. Broadcasts and look-ups
/// may come from any thread.
package final class Namespace: Sendable {
    package let name: String
    /// The server owns its namespaces and outlives their sockets.
    unowned let server: SocketIOServer
    /// `nil` unless clients may come back.
    let recovery: NamespaceRecovery?
    /// One for each loop. Written once, by `init`, before anybody else knows this object.
    private(set) nonisolated(unsafe) var shards: [NamespaceShard] = []
    let handlerBox: HandlerBox
    /// A namespace of a pattern takes its name out of the server's table when nobody needs it any more.
    private let lease: NamespaceLease?
    /// How many members each room has on this node.
    private let registry = Mutex<[String: Int]>([:])
    private let socketCount = Atomic<Int>(0)

    init(
        name: String,
        server: SocketIOServer,
        handlers: HandlerBox = HandlerBox(),
        lease: NamespaceLease? = nil
    ) {
        self.name = name
        self.server = server
        self.recovery = server.configuration.connectionStateRecovery.map {
            NamespaceRecovery(settings: $0, server: server)
        }
        self.handlerBox = handlers
        self.lease = lease
        self.shards = server.loops.map { NamespaceShard(namespace: self, loop: $0) }
    }

    func leaseIsHeld() { self.lease?.hold() }

    /// As they are now. Loops read their shard's, which takes no lock.
    var handlers: Handlers { self.handlerBox.snapshot.handlers }

    private func change(_ body: (inout sending Handlers) -> Void) {
        self.handlerBox.change(body)
        self.server.handlersChanged(self.handlerBox)
    }

    // MARK: Handlers

    /// Runs before a socket is taken in, in order; throw ``ConnectError`` to refuse it.
    package func use(_ body: @escaping @Sendable (Socket) async throws -> Void) {
        self.change { $0.middleware.append(.queued(body)) }
    }

    /// The same on the connection's loop, at once; must not block.
    package func use(inline body: @escaping @Sendable (Socket) throws -> Void) {
        self.change { $0.middleware.append(.inline(body)) }
    }

    package func onConnection(_ body: @escaping @Sendable (Socket) async -> Void) {
        self.change { $0.connection.append(.queued(body)) }
    }

    package func onConnection(inline body: @escaping @Sendable (Socket) -> Void) {
        self.change { $0.connection.append(.inline(body)) }
    }

    package func onDisconnect(_ body: @escaping @Sendable (Socket, DisconnectReason) async -> Void) {
        self.change { $0.disconnect.append(.queued(body)) }
    }

    package func onDisconnect(inline body: @escaping @Sendable (Socket, DisconnectReason) -> Void) {
        self.change { $0.disconnect.append(.inline(body)) }
    }

    package func on(_ event: String, _ body: @escaping @Sendable (Socket, SocketEvent) async -> Void) {
        self.change { $0.events[event] = .queued(body) }
    }

    /// Runs on the connection's loop and must not block.
    package func on(_ event: String, inline body: @escaping @Sendable (Socket, SocketEvent) -> Void) {
        self.change { $0.events[event] = .inline(body) }
    }

    /// Sees every event before its handler, on the loop.
    package func onAny(inline body: @escaping @Sendable (Socket, SocketEvent) -> Void) {
        self.change { $0.any.append(body) }
    }

    /// Called on the loop for events without a handler; without this they are ignored.
    package func onUnknownEvent(_ body: @escaping @Sendable (Socket, SocketEvent) -> Void) {
        self.change { $0.unknownEvent = body }
    }

    /// Called, in place of a typed handler, for an event whose arguments do not fit, and for an error that a handler
    /// throws; on any thread. Without this such events are ignored. None of them is acknowledged by itself.
    package func onInvalidEvent(_ body: @escaping @Sendable (Socket, SocketEvent, any Error) -> Void) {
        self.change { $0.invalidEvent = body }
    }

    func setServerSide(_ event: String, _ body: @escaping @Sendable (ServerSideEvent) -> Void) {
        self.change { $0.serverSide[event] = body }
    }

    // MARK: Broadcasting

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        BroadcastOperator(self).emit(event, arguments: encodeArguments(arguments))
    }

    package func timeout(_ time: TimeAmount) -> BroadcastOperator { BroadcastOperator(self).timeout(time) }
    package func socketsJoin(_ rooms: String...) { BroadcastOperator(self).apply(.join(rooms)) }
    package func socketsLeave(_ rooms: String...) { BroadcastOperator(self).apply(.leave(rooms)) }
    package func disconnectSockets(close: Bool = false) { BroadcastOperator(self).disconnectSockets(close: close) }
    package func fetchSockets() async -> ClusterList<RemoteSocket> { await BroadcastOperator(self).fetchSockets() }

    package func emit(_ event: String, raw: ByteBuffer) { BroadcastOperator(self).emit(event, raw: raw) }

    package func to(_ rooms: String...) -> BroadcastOperator { BroadcastOperator(self).to(rooms) }
    package func `in`(_ rooms: String...) -> BroadcastOperator { BroadcastOperator(self).to(rooms) }
    package func except(_ rooms: String...) -> BroadcastOperator { BroadcastOperator(self).except(rooms) }
    package var local: BroadcastOperator { BroadcastOperator(self).local }
    package var volatile: BroadcastOperator { BroadcastOperator(self).volatile }
    package var all: BroadcastOperator { BroadcastOperator(self) }

    // MARK: This node's members

    /// Members of a room on this node; of the namespace for `nil`. Any thread.
    package func localMemberCount(_ room: String? = nil) -> Int {
        guard let room else { return self.socketCount.load(ordering: .relaxed) }
        return self.registry.withLock { $0[room] ?? 0 }
    }

    package func localRooms() -> [String] { self.registry.withLock { Array($0.keys) } }

    /// Calls `body` for each local member on its loop; returns at once.
    package func forEachLocalSocket(in room: String? = nil, inline body: @escaping @Sendable (Socket) -> Void) {
        self.onShards { shard in
            shard.forEach(rooms: room.map { [$0] } ?? [], except: [], body)
        }
    }

    /// Calls `body` for each local member on its loop; returns when all have been called.
    package func forEachLocalSocket(in room: String? = nil, _ body: @escaping @Sendable (Socket) -> Void) async {
        await withDiscardingTaskGroup { group in
            for shard in self.shards {
                group.addTask {
                    try? await shard.eventLoop.submit {
                        shard.forEach(rooms: room.map { [$0] } ?? [], except: [], body)
                    }.get()
                }
            }
        }
    }

    /// Goes once to each loop, those without members too: a join that the caller has just asked for may still be on
    /// its way there, and what follows it must not overtake it.
    ///
    /// A caller on the loop waits its turn behind what other threads have sent there before: callers that take turns by
    /// a lock of their own have their broadcasts arrive in that order.
    func onShards(_ body: @escaping @Sendable (NamespaceShard) -> Void) {
        for shard in self.shards {
            let isNext = shard.eventLoop.inEventLoop && shard.recovery?.isBehind != true && shard.isCaughtUp
            if isNext { body(shard) } else { shard.enqueue { body(shard) } }
        }
    }

    // MARK: Book-keeping of the shards

    func changed(count: Int) { self.socketCount.add(count, ordering: .relaxed) }

    // The adapter is told under the lock: otherwise the last member leaving on one loop and the first one joining on
    // another could reach it in the wrong order, and a room with members would stay without its subscription.

    func roomJoined(_ room: String) {
        let adapter = self.server.adapter
        self.registry.withLock { registry in
            let count = (registry[room] ?? 0) + 1
            registry[room] = count
            if count == 1 { adapter?.opened(room, namespace: self.name) }
        }
    }

    func roomLeft(_ room: String) {
        let adapter = self.server.adapter
        self.registry.withLock { registry in
            guard let count = registry[room] else { return }
            registry[room] = count > 1 ? count - 1 : nil
            if count == 1 { adapter?.closed(room, namespace: self.name) }
        }
    }
}
