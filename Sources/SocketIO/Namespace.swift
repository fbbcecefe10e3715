import EngineIO
package import NIOCore
import Synchronization

/// A namespace: handlers, sockets and rooms of its own.
///
/// Give it its handlers before the server runs. Broadcasts and look-ups may come from any thread.
package final class Namespace: Sendable {
    package let name: String
    /// The server owns its namespaces and outlives them.
    unowned let server: SocketIOServer
    private let shardsBox = Mutex<[NamespaceShard]>([])
    private let handlersBox = Mutex(Handlers())
    private let registry = Mutex<[String: RoomEntry]>([:])
    private let socketCount = Atomic<Int>(0)

    /// How many members a room has on this node, and on which loops: one bit each.
    private struct RoomEntry {
        var count = 0
        var loops: UInt64 = 0
    }

    init(name: String, server: SocketIOServer, handlers: Handlers = Handlers()) {
        self.name = name
        self.server = server
        self.handlersBox.withLock { $0 = handlers }
        let shards = server.loops.enumerated().map { index, loop in
            NamespaceShard(namespace: self, eventLoop: loop.eventLoop, index: index)
        }
        self.shardsBox.withLock { $0 = shards }
    }

    var shards: [NamespaceShard] { self.shardsBox.withLock { $0 } }
    var handlers: Handlers { self.handlersBox.withLock { $0 } }

    private func change(_ body: (inout sending Handlers) -> Void) {
        self.handlersBox.withLock { body(&$0) }
    }

    // MARK: Handlers

    /// Runs before a socket is taken in, in order; throw ``ConnectError`` to refuse it.
    package func use(_ body: @escaping @Sendable (Socket) async throws -> Void) {
        self.change { $0.middleware.append(body) }
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

    /// Decodes the first argument; an event that does not fit goes to `onInvalidEvent`.
    package func on<Payload: Decodable & Sendable>(
        _ event: String,
        as type: Payload.Type,
        _ body: @escaping @Sendable (Socket, Payload, Ack) async -> Void
    ) {
        self.on(event) { [unowned self] socket, event in
            let payload: Payload
            do {
                payload = try event.decode(type)
            } catch {
                self.handlers.invalidEvent?(socket, event, error)
                return
            }
            await body(socket, payload, event.ack)
        }
    }

    /// Sees every event before its handler, on the loop.
    package func onAny(inline body: @escaping @Sendable (Socket, SocketEvent) -> Void) {
        self.change { $0.any.append(body) }
    }

    package func onUnknownEvent(_ body: @escaping @Sendable (Socket, SocketEvent) -> Void) {
        self.change { $0.unknownEvent = body }
    }

    package func onInvalidEvent(_ body: @escaping @Sendable (Socket, SocketEvent, any Error) -> Void) {
        self.change { $0.invalidEvent = body }
    }

    // MARK: Broadcasting

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        BroadcastOperator(self).emit(event, arguments: encodeArguments(arguments))
    }

    package func emit(_ event: String, raw: ByteBuffer) { BroadcastOperator(self).emit(event, raw: raw) }

    package func to(_ rooms: String...) -> BroadcastOperator { BroadcastOperator(self).to(rooms) }
    package func `in`(_ rooms: String...) -> BroadcastOperator { BroadcastOperator(self).to(rooms) }
    package func except(_ rooms: String...) -> BroadcastOperator { BroadcastOperator(self).except(rooms) }
    package var local: BroadcastOperator { BroadcastOperator(self).local }
    package var all: BroadcastOperator { BroadcastOperator(self) }

    // MARK: This node's members

    /// Members of a room on this node; of the namespace for `nil`. Any thread.
    package func localMemberCount(_ room: String? = nil) -> Int {
        guard let room else { return self.socketCount.load(ordering: .relaxed) }
        return self.registry.withLock { $0[room]?.count ?? 0 }
    }

    package func localRooms() -> [String] { self.registry.withLock { Array($0.keys) } }

    /// Calls `body` for each local member on its loop; returns at once.
    package func forEachLocalSocket(in room: String? = nil, inline body: @escaping @Sendable (Socket) -> Void) {
        self.onShards(of: room.map { [$0] } ?? []) { shard in
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

    /// Goes once to each loop that may have members of the rooms.
    func onShards(of rooms: [String], _ body: @escaping @Sendable (NamespaceShard) -> Void) {
        let shards = self.shards
        var mask: UInt64 = 0
        if rooms.isEmpty || rooms.contains(where: SessionID.isPlausible) {
            mask = .max  // Everybody; or perhaps a socket's own room, whose loop is not known here.
        } else {
            self.registry.withLock { registry in
                for room in rooms { mask |= registry[room]?.loops ?? 0 }
            }
        }
        for shard in shards where mask & (1 << UInt64(shard.index)) != 0 {
            if shard.eventLoop.inEventLoop { body(shard) } else { shard.eventLoop.execute { body(shard) } }
        }
    }

    // MARK: Book-keeping of the shards

    func changed(count: Int) { self.socketCount.add(count, ordering: .relaxed) }

    func roomJoined(_ room: String, shard: Int) {
        let isFirst = self.registry.withLock { registry in
            registry[room, default: RoomEntry()].loops |= 1 << UInt64(shard)
            registry[room]?.count += 1
            return registry[room]?.count == 1
        }
        if isFirst { self.server.adapter?.opened(room, namespace: self.name) }
    }

    func roomLeft(_ room: String, shard: Int, isEmptyHere: Bool) {
        let isLast = self.registry.withLock { registry in
            guard var entry = registry.removeValue(forKey: room) else { return false }
            entry.count -= 1
            if isEmptyHere { entry.loops &= ~(1 << UInt64(shard)) }
            if entry.count > 0 { registry[room] = entry }
            return entry.count == 0
        }
        if isLast { self.server.adapter?.closed(room, namespace: self.name) }
    }
}
