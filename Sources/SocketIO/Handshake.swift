package import EngineIO
import FoundationEssentials
package import NIOCore
import NIOFoundationCompat
import Synchronization

/// How a socket came to be: the HTTP request of its connection and the payload of its CONNECT.
package struct Handshake: Sendable {
    /// The CONNECT payload, an object; `{}` if there was none.
    package let auth: RawJSON
    package let request: EngineRequest

    package func header(_ name: String) -> String? { self.request.header(name) }
    package func query(_ name: String) -> String? { self.request.query(name) }
    package var remoteAddress: SocketAddress? { self.request.remoteAddress }
}

/// One event of a client: its name, its arguments as bytes, and its acknowledgement.
package struct SocketEvent: Sendable {
    package let name: String
    /// Whether the client asked for an acknowledgement.
    package let ack: Ack
    private let packet: SocketPacket?
    private let first: Int
    private let attachments: [ByteBuffer]

    init(_ packet: SocketPacket, attachments: [ByteBuffer], ack: Ack) {
        self.name = packet.name
        self.ack = ack
        self.packet = packet
        self.attachments = attachments
        self.first = packet.type == .event || packet.type == .binaryEvent ? 1 : 0
    }

    package var wantsAck: Bool { self.ack.isWanted }
    package var count: Int { (self.packet?.elements.count ?? 0) - self.first }

    /// The arguments behind the name.
    package var arguments: [RawJSON] { (0..<self.count).map { self[$0] } }

    package subscript(index: Int) -> RawJSON {
        guard let packet = self.packet, index >= 0, index < self.count else { return .null }
        return RawJSON(bytes: packet.slice(packet.elements[index + self.first]), attachments: self.attachments)
    }

    package func decode<T: Decodable>(_ type: T.Type = T.self, at index: Int = 0) throws -> T {
        try self[index].decode(type)
    }
}

/// The answer to one event. Sent at most once; does nothing if the client asked for none.
package struct Ack: Sendable {
    private final class State: Sendable {
        let socket: Socket
        let id: Int
        let isSent = Atomic<Bool>(false)

        init(socket: Socket, id: Int) {
            self.socket = socket
            self.id = id
        }
    }

    private let state: State?

    init(socket: Socket, id: Int?) {
        self.state = id.map { State(socket: socket, id: $0) }
    }

    package var isWanted: Bool { self.state != nil }

    package func callAsFunction(_ arguments: any Encodable & Sendable...) {
        guard self.isWanted else { return }
        self.send(encodeArguments(arguments))
    }

    package func send(_ arguments: [RawJSON]) {
        guard let state = self.state, !state.isSent.exchange(true, ordering: .relaxed) else { return }
        state.socket.send(.ack(state.socket.namespace.name, id: state.id, arguments))
    }
}

/// Makes JSON of arguments; `ByteBuffer` and `Data` travel as attachments, if they are arguments of their own. One that cannot be encoded becomes `null`: it is our own mistake, and a client that
/// waits for an answer is better off with one.
func encodeArguments(_ arguments: [any Encodable & Sendable]) -> [RawJSON] {
    arguments.map { argument in
        switch argument {
        case let raw as RawJSON:
            return raw
        case let text as String:
            var bytes = ByteBufferAllocator().buffer(capacity: text.utf8.count + 2)
            bytes.writeJSONString(text)
            return RawJSON(trusted: bytes)
        case let number as Int:
            return RawJSON(trusted: String(number))
        case let flag as Bool:
            return RawJSON(trusted: flag ? "true" : "false")
        case let bytes as ByteBuffer:
            return RawJSON(binary: bytes)
        case let bytes as Data:
            return RawJSON(binary: ByteBuffer(data: bytes))
        default:
            guard let raw = try? RawJSON(encoding: argument) else {
                SocketIOMetrics.shared.encodingFailed()
                return .null
            }
            return raw
        }
    }
}

/// An event encoded once, for loops over sockets of one namespace.
package struct PreparedEvent: Sendable {
    let packet: EncodedPacket

    package init(_ event: String, _ arguments: any Encodable & Sendable..., namespace: String = "/") {
        self.packet = .event(namespace, event, encodeArguments(arguments))
    }

    package init(_ event: String, raw: ByteBuffer, namespace: String = "/") {
        self.packet = .event(namespace, event, [RawJSON(trusted: raw)])
    }
}
