/// What one node asks all nodes that have a namespace. Each answers for its own sockets.
package enum ClusterRequest: Sendable, Equatable {
    /// How many members each of the rooms has; no rooms: the namespace.
    case counts([String])
    /// The sockets that the message chooses.
    case sockets
    /// Emits to the sockets that the message chooses; their acknowledgements, which come under the request's id.
    case emit(EncodedPacket, timeoutMs: UInt32)
    /// For the nodes' own handlers.
    case serverSide(String, [RawJSON])
}

/// One part of a node's answer; the last part says that it is.
package enum ClusterAnswer: Sendable, Equatable {
    /// The node has nothing to say: no such handler, or no such namespace.
    case nothing
    case counts([UInt32])
    /// `leftOut`: chosen, but beyond what one node lists.
    case sockets([SocketDescription], leftOut: UInt32)
    /// First arguments of the acknowledgements; `silent` sockets sent none in time.
    case acks([RawJSON], silent: UInt32)
    case serverSide(RawJSON)
}

/// A socket as another node is told of it. What the client sent to sign in stays where it is.
package struct SocketDescription: Sendable, Equatable {
    package var id: String
    package var rooms: [String]
    package var remoteAddress: String
    package var isSecure: Bool
    package var data: RawJSON
}

/// What the nodes of a cluster answered to one question.
///
/// Nodes that are dead are not asked; one that is there and does not answer in time is counted, and the others' answers
/// are here all the same.
package struct ClusterList<Element: Sendable>: RandomAccessCollection, Sendable {
    package let elements: [Element]
    /// Nodes that got the question and did not answer in time; `nil`: the question reached nobody, as far as we know.
    package let silentNodes: Int?
    /// Sockets that are not in the list: they acknowledged too late, or were more than one node lists.
    package let missingSockets: Int

    /// Whether everybody has answered.
    package var isComplete: Bool { self.silentNodes == 0 && self.missingSockets == 0 }

    package var startIndex: Int { 0 }
    package var endIndex: Int { self.elements.count }
    package subscript(position: Int) -> Element { self.elements[position] }
}
