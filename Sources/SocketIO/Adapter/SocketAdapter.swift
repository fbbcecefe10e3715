import EngineIO

/// What joins several servers into one. Each server delivers to its own sockets itself; an adapter carries messages
/// to the other nodes and brings theirs.
///
/// All calls may come from any thread, must not block, and keep the order in which one thread made them.
package protocol SocketAdapter: AnyObject, Sendable {
    func attached(to server: SocketIOServer)
    /// A namespace exists here from now on.
    func opened(namespace: String)
    /// The namespace, one of a pattern, is no longer needed.
    func closed(namespace: String)
    /// The first local socket joined a room.
    func opened(_ room: String, namespace: String)
    /// The last local socket left a room.
    func closed(_ room: String, namespace: String)
    /// Returns when broadcasts of other nodes to the room arrive here, or when that cannot be had now.
    func ready(_ room: String, namespace: String) async
    func publish(_ message: ClusterMessage)
}

/// A message between nodes.
///
/// - Shape on the wire: version 1, then strings (16-bit length), lists (16-bit count) and buffers (32-bit length),
///   all big endian. Packets travel as encoded Engine.IO payloads, so that no node encodes them again.
package struct ClusterMessage: Sendable, Equatable {
    package enum Operation: Sendable, Equatable {
        case broadcast(EncodedPacket, isVolatile: Bool)
        case join([String])
        case leave([String])
        case disconnect(close: Bool)
    }

    package let node: String
    package let namespace: String
    package let rooms: [String]
    package let except: [String]
    package let operation: Operation

    package init(node: String, namespace: String, rooms: [String], except: [String], operation: Operation) {
        self.node = node
        self.namespace = namespace
        self.rooms = rooms
        self.except = except
        self.operation = operation
    }
}

extension ClusterMessage {
    package var isBroadcast: Bool { if case .broadcast = self.operation { true } else { false } }

    /// Whether a room's name could be a socket's id.
    package var mayBeForOneSocket: Bool { self.rooms.contains(where: SessionID.isPlausible) }
}
