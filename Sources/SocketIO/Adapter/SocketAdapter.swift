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
    /// Returns when answers of other nodes arrive here, or when that cannot be had now.
    func readyForAnswers() async
    func publish(_ message: ClusterMessage)
    /// Publishes a request to every node that has its namespace, this one included, behind what was published before.
    /// `received` is told once by how many; `nil`: by none, as far as we know.
    func ask(_ message: ClusterMessage, received: @escaping @Sendable (Int?) -> Void)
    /// Sends an answer to the node that asked.
    func answer(_ message: ClusterMessage, to node: String)
    /// Where the sessions of clients that may come back are kept for all nodes; `nil`: each server keeps its own.
    var recovery: (any RecoveryStore)? { get }
}

extension SocketAdapter {
    package var recovery: (any RecoveryStore)? { nil }
}

/// A message between nodes.
///
/// - Shape on the wire: version 2, then strings and buffers (32-bit length) and lists (32-bit count), all big endian.
///   Packets travel as encoded Engine.IO payloads, so that no node encodes them again.
/// - Bounds: nothing is allocated from a count or a length; a list ends with the message.
package struct ClusterMessage: Sendable, Equatable {
    package enum Operation: Sendable, Equatable {
        case broadcast(EncodedPacket, isVolatile: Bool)
        case join([String])
        case leave([String])
        case disconnect(close: Bool)
        /// For the nodes' own handlers; nobody answers.
        case serverSide(String, [RawJSON])
        /// The sender could not publish for a while: others may have missed something.
        case missed
        case ask(id: UInt64, ClusterRequest)
        case answer(id: UInt64, ClusterAnswer, isLast: Bool)
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
