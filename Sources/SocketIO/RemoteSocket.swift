import EngineIO
package import NIOCore

/// A socket on any node, as it was when it was fetched. What is done to it goes to the node that has it.
package struct RemoteSocket: Sendable {
    private let description: SocketDescription
    package let namespace: Namespace

    init(_ description: SocketDescription, _ namespace: Namespace) {
        self.description = description
        self.namespace = namespace
    }

    package var id: String { self.description.id }
    /// Its own id is one of them.
    package var rooms: Set<String> { Set(self.description.rooms) }
    /// The socket's `data` as JSON; `null` if there is none, or none that can be encoded.
    package var data: RawJSON { self.description.data }
    package var remoteAddress: String { self.description.remoteAddress }
    package var isSecure: Bool { self.description.isSecure }

    private var itself: BroadcastOperator { BroadcastOperator(self.namespace).to([self.id]) }

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.itself.emit(event, arguments: encodeArguments(arguments))
    }

    /// Emits an event and waits for the client's answer.
    package func emitWithAck<T: Decodable & Sendable>(
        _ event: String,
        _ arguments: any Encodable & Sendable...,
        as type: T.Type,
        timeout: TimeAmount
    ) async throws -> T {
        let answers = await self.itself.timeout(timeout).emitWithAck(event, arguments: encodeArguments(arguments))
        guard let answer = answers.first else { throw AckError.timeout }
        return try answer.decode(type)
    }

    package func join(_ rooms: String...) { self.itself.apply(.join(rooms)) }
    package func leave(_ rooms: String...) { self.itself.apply(.leave(rooms)) }
    package func disconnect(close: Bool = false) { self.itself.disconnectSockets(close: close) }
}

extension Socket {
    /// On the loop: what other nodes are told.
    var description: SocketDescription {
        SocketDescription(
            id: self.id,
            rooms: self.roomsOnLoop.sorted(),
            remoteAddress: self.handshake.remoteAddress?.ipAddress ?? "",
            isSecure: self.handshake.request.isSecure,
            data: (self.data as? any Encodable).flatMap { try? RawJSON(encoding: $0) } ?? .null
        )
    }
}
