import Foundation
import NIOCore
import NIOPosix

/// A client that sends the bytes it is told to and shows the frames that come, nothing more.
final class RawClient {
    enum Frame: Equatable {
        case text(String)
        case binary([UInt8])
        case close(Int?)
        case other(UInt8, [UInt8])
        case end
    }

    typealias Channel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var buffer = ByteBuffer()

    private init(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.inbound = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    /// - Parameter receiveBuffer: bytes that the system keeps for a client that does not read; `nil`: as it likes.
    static func connect<R>(
        _ port: Int,
        receiveBuffer: Int? = nil,
        _ body: (RawClient) async throws -> R
    ) async throws -> R {
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        if let receiveBuffer { bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: receiveBuffer) }
        let channel =
            try await bootstrap
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Channel(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(isOutboundHalfClosureEnabled: true)
                    )
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await body(RawClient(inbound, outbound))
        }
    }

    /// A client whose WebSocket is open and whose handshake packet was read.
    static func open<R>(
        _ port: Int,
        receiveBuffer: Int? = nil,
        _ body: (RawClient) async throws -> R
    ) async throws -> R {
        try await Self.connect(port, receiveBuffer: receiveBuffer) { client in
            try await client.send(Self.upgradeRequest())
            _ = try await client.head()
            _ = try await client.frame()
            return try await body(client)
        }
    }

    /// A client that has joined the main namespace.
    static func joined<R>(
        _ port: Int,
        receiveBuffer: Int? = nil,
        _ body: (RawClient, String) async throws -> R
    ) async throws -> R {
        try await Self.open(port, receiveBuffer: receiveBuffer) { client in
            try await client.send(text: "40")
            // A ping may come before the answer.
            var answer: String?
            while answer == nil {
                switch try await client.frame() {
                case .text("2"): try await client.send(text: "3")
                case .text(let text): answer = text
                default: throw ChannelError.eof
                }
            }
            let id = answer?.dropFirst(#"40{"sid":""#.count).dropLast(2) ?? ""
            return try await body(client, String(id))
        }
    }

    static func upgradeRequest(_ target: String = "/socket.io/?EIO=4&transport=websocket", _ fields: String = "")
        -> String
    {
        "GET \(target) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(fields)\r\n"
    }

    static func masked(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let length =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)] : [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        let mask: [UInt8] = [1, 2, 3, 4]
        return [first] + length + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    func send(_ text: String) async throws { try await self.outbound.write(ByteBuffer(string: text)) }
    func send(bytes: [UInt8]) async throws { try await self.outbound.write(ByteBuffer(bytes: bytes)) }
    func send(text: String) async throws { try await self.send(bytes: Self.masked(0x81, Array(text.utf8))) }
    func send(binary: [UInt8]) async throws { try await self.send(bytes: Self.masked(0x82, binary)) }

    /// Says that nothing more comes, and still reads.
    func finish() { self.outbound.finish() }

    private func more() async throws -> Bool {
        do {
            guard var next = try await self.inbound.next(isolation: #isolation) else { return false }
            self.buffer.writeBuffer(&next)
            return true
        } catch {
            return false  // Cut off: the same to a test as an end.
        }
    }

    /// The answer's head, up to and including the blank line.
    func head() async throws -> String {
        while true {
            let text = String(buffer: self.buffer)
            if let end = text.range(of: "\r\n\r\n") {
                let head = String(text[..<end.upperBound])
                self.buffer.moveReaderIndex(forwardBy: head.utf8.count)
                return head
            }
            guard try await self.more() else { return text }
        }
    }

    /// One answer of HTTP, its body as long as its head says.
    func answer() async throws -> HTTPAnswer {
        let head = try await self.head()
        let length = HTTPAnswer(head: head).field("Content-Length").flatMap(Int.init) ?? 0
        while self.buffer.readableBytes < length, try await self.more() {}
        return HTTPAnswer(head: head, body: self.buffer.readBytes(length: min(length, self.buffer.readableBytes)) ?? [])
    }

    /// All that comes until the server closes.
    func rest() async throws -> String {
        while try await self.more() {}
        return String(buffer: self.buffer)
    }

    func frame() async throws -> Frame {
        while true {
            if let frame = self.cut() { return frame }
            guard try await self.more() else { return .end }
        }
    }

    /// The next frame but heartbeats.
    func text() async throws -> String? {
        while true {
            switch try await self.frame() {
            case .text("2"): continue
            case .text(let text): return text
            default: return nil
            }
        }
    }

    private func cut() -> Frame? {
        var rest = self.buffer
        guard let first = rest.readInteger(as: UInt8.self), let second = rest.readInteger(as: UInt8.self) else {
            return nil
        }
        var length = Int(second)
        if second == 126 {
            guard let long = rest.readInteger(as: UInt16.self) else { return nil }
            length = Int(long)
        } else if second == 127 {
            guard let long = rest.readInteger(as: UInt64.self) else { return nil }
            length = Int(long)
        }
        guard let payload = rest.readBytes(length: length) else { return nil }
        self.buffer = rest
        switch first {
        case 0x81: return .text(String(decoding: payload, as: UTF8.self))
        case 0x82: return .binary(payload)
        case 0x88: return .close(payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil)
        default: return .other(first, payload)
        }
    }
}

/// What a server answered to one request.
struct HTTPAnswer: Sendable {
    var head: String
    var body: [UInt8] = []

    var status: Int { Int(self.head.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    var text: String { String(decoding: self.body, as: UTF8.self) }

    func field(_ name: String) -> String? {
        for line in self.head.split(separator: "\r\n").dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2, pair[0].lowercased() == name.lowercased() {
                return pair[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }
}
