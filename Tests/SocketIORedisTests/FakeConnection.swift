import EngineIO
import NIOCore
import SocketIO

/// A connection without a network: what the server sends comes out of ``sent``.
final class FakeConnection: EngineConnection {
    let sid = SessionID.random()
    let eventLoop: any EventLoop
    let request = EngineRequest(
        head: Array("GET /socket.io/ HTTP/1.1\r\nHost: x".utf8),
        remoteAddress: nil,
        receivedAt: .now(),
        isSecure: false
    )
    let hasUnsentBytes = false
    let sent: AsyncStream<String>
    private let sink: AsyncStream<String>.Continuation

    private init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        // Tests send a few hundred packets and read them.
        (self.sent, self.sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    func send(_ message: EngineMessage) { self.sink.yield(String(buffer: message.payload)) }
    func close(_ reason: EngineCloseReason) { self.sink.finish() }

    /// One that has joined the main namespace of `server`, and its socket.
    static func join(_ server: SocketIOServer, on loop: any EventLoop) async throws -> (FakeConnection, Socket) {
        let connection = FakeConnection(loop)
        try await loop.submit { server.connected(connection).receive(text: ByteBuffer(string: "0")) }.get()
        for await text in connection.sent {
            let id = text.dropFirst(#"40{"sid":""#.count).dropLast(2)
            let sockets = await server.of("/").all.fetchSockets()
            if let socket = sockets.first(where: { $0.id == id }) { return (connection, socket) }
        }
        throw ChannelError.eof
    }
}
