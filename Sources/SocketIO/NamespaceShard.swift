import EngineIO
import NIOCore
import Synchronization

/// The members of one room on one loop, in an array so that a broadcast is a walk over it.
final class LocalRoom {
    /// A socket's place in a room: leaving swaps the last member into it.
    struct Membership {
        let room: LocalRoom
        var index: Int
    }

    let name: String
    private(set) var members: ContiguousArray<Socket> = []

    init(name: String) { self.name = name }

    func add(_ socket: Socket) {
        socket.memberships.append(Membership(room: self, index: self.members.count))
        self.members.append(socket)
    }

    func remove(_ socket: Socket) {
        guard let place = socket.memberships.firstIndex(where: { $0.room === self }) else { return }
        let index = socket.memberships.remove(at: place).index
        let last = self.members.removeLast()
        guard last !== socket else { return }
        self.members[index] = last
        if let moved = last.memberships.firstIndex(where: { $0.room === self }) {
            last.memberships[moved].index = index
        }
    }
}

/// The sockets of one namespace on one loop, and their rooms. Touched on its loop only, which makes it Sendable.
final class NamespaceShard: @unchecked Sendable {
    let eventLoop: any EventLoop
    /// Runs its sockets' handlers on the loop.
    let executor: LoopTaskExecutor
    /// The namespace; it outlives its sockets, and the server outlives it.
    unowned let namespace: Namespace
    private let everyone = LocalRoom(name: "")
    private var rooms: [String: LocalRoom] = [:]
    private var socketsByID: [String: Socket] = [:]
    /// `nil` unless clients may come back.
    let recovery: ShardRecovery?
    /// How much other threads have sent here that has not run yet.
    private let enqueued = Atomic<Int>(0)
    /// Looked at anew for each connection, read as it is for each event.
    private var snapshot: HandlerSnapshot

    /// What the sockets of this loop call.
    var handlers: Handlers { self.snapshot.handlers }

    init(namespace: Namespace, loop: SocketLoop) {
        self.namespace = namespace
        self.snapshot = namespace.handlerBox.snapshot
        self.eventLoop = loop.eventLoop
        self.executor = loop.executor
        self.recovery = namespace.recovery.map { ShardRecovery($0.store?.standing(of: namespace.name)) }
    }

    /// Whether nothing waits for its turn on the loop.
    var isCaughtUp: Bool { self.enqueued.load(ordering: .acquiring) == 0 }

    func enqueue(_ body: @escaping @Sendable () -> Void) {
        self.enqueued.add(1, ordering: .acquiringAndReleasing)
        self.execute {
            self.enqueued.subtract(1, ordering: .acquiringAndReleasing)
            body()
        }
    }

    /// Runs `body` on the loop. What waits there keeps its server, which may be let go meanwhile.
    func execute(_ body: @escaping @Sendable () -> Void) {
        let namespace = self.namespace
        let server = namespace.server
        self.eventLoop.execute {
            withExtendedLifetime((namespace, server), body)
        }
    }

    func refreshHandlers() { self.snapshot = self.namespace.handlerBox.snapshot }

    // MARK: Membership

    func add(_ socket: Socket) {
        self.socketsByID[socket.id] = socket
        self.everyone.add(socket)
        self.namespace.changed(count: 1)
    }

    func remove(_ socket: Socket) {
        self.socketsByID.removeValue(forKey: socket.id)
        for membership in socket.memberships {
            membership.room.remove(socket)
            if membership.room !== self.everyone { self.left(membership.room) }
        }
        self.namespace.changed(count: -1)
    }

    /// - Parameter stored: called when the socket would be found in the room by the node to which its client comes back.
    func join(_ socket: Socket, _ name: String, stored: @escaping @Sendable () -> Void = {}) {
        // A socket's own id is a room of its own, which needs no table.
        guard self.socketsByID[socket.id] === socket, name != socket.id else { return stored() }
        let room: LocalRoom
        if let existing = self.rooms[name] {
            guard !socket.memberships.contains(where: { $0.room === existing }) else { return stored() }
            room = existing
        } else {
            room = LocalRoom(name: name)
            self.rooms[name] = room
        }
        room.add(socket)
        self.namespace.roomJoined(name)
        if let session = socket.session { self.joined(name, session, stored: stored) } else { stored() }
    }

    func leave(_ socket: Socket, _ name: String) {
        guard let room = self.rooms[name], socket.memberships.contains(where: { $0.room === room }) else { return }
        room.remove(socket)
        self.left(room)
        if let session = socket.session { self.left(name, session) }
    }

    private func left(_ room: LocalRoom) {
        if room.members.isEmpty { self.rooms.removeValue(forKey: room.name) }
        self.namespace.roomLeft(room.name)
    }

    // MARK: Selecting

    /// Calls `body` once for each socket of the rooms (of the namespace, if none is named) but those excepted.
    func forEach(rooms names: [String], except: [String], _ body: (Socket) -> Void) {
        if names.isEmpty && except.isEmpty { return self.everyone.members.forEach(body) }
        if names.count == 1 && except.isEmpty && self.socketsByID[names[0]] == nil {
            self.rooms[names[0]]?.members.forEach(body)
            return
        }
        var seen: Set<ObjectIdentifier> = []
        for name in except { self.members(of: name) { seen.insert(ObjectIdentifier($0)) } }
        if names.isEmpty {
            for socket in self.everyone.members where !seen.contains(ObjectIdentifier(socket)) { body(socket) }
        } else if names.count == 1 {
            self.members(of: names[0]) { if !seen.contains(ObjectIdentifier($0)) { body($0) } }
        } else {
            for name in names { self.members(of: name) { if seen.insert(ObjectIdentifier($0)).inserted { body($0) } } }
        }
    }

    private func members(of name: String, _ body: (Socket) -> Void) {
        let own = self.socketsByID[name]
        if let own { body(own) }
        for socket in self.rooms[name]?.members ?? [] where socket !== own { body(socket) }
    }

    func broadcast(_ packet: EncodedPacket, rooms: [String], except: [String], isVolatile: Bool) {
        self.forEach(rooms: rooms, except: except) { socket in
            if isVolatile && socket.hasUnsentBytes { return }
            socket.write(packet)
        }
    }
}
