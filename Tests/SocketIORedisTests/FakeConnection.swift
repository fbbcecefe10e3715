import EngineIO
import NIOCore
import SocketIO
import Synchronization

/// A connection without a network: what the server sends comes out of ``sent``.
final class FakeConnection: EngineConnection, @unchecked Sendable {
    let sid = SessionID.random()
    let eventLoop: any EventLoop
    let request = EngineRequest(
        head: Array("GET /socket.io/ HTTP/1.1\r\nHost: x".utf8),
        remoteAddress: nil,
        receivedAt: .now(),
        isSecure: false
    )
    /// Says that earlier bytes are still on their way.
    let isBusy = Atomic<Bool>(false)
    var hasUnsentBytes: Bool { self.isBusy.load(ordering: .relaxed) }
    let sent: AsyncStream<String>
    private let sink: AsyncStream<String>.Continuation
    /// Touched on the loop only, which is what makes the class Sendable.
    private var receiver: (any EngineReceiver)?

    private init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        // Tests send a few hundred packets and read them.
        (self.sent, self.sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    func send(_ message: EngineMessage) { self.sink.yield(String(buffer: message.payload)) }
    func flush() {}
    func close(_ reason: EngineCloseReason) { self.sink.finish() }

    /// The next packet that the server sends.
    func next() async -> String? {
        for await text in self.sent { return text }
        return nil
    }

    /// What the client sends.
    func receive(_ text: String) {
        self.eventLoop.execute { self.receiver?.receive(text: ByteBuffer(string: text)) }
    }

    /// One that has joined a namespace of `server`, and its socket.
    static func join(
        _ server: SocketIOServer,
        _ namespace: String = "/",
        on loop: any EventLoop
    ) async throws -> (FakeConnection, Socket) {
        let connection = FakeConnection(loop)
        let prefix = namespace == "/" ? "" : "\(namespace),"
        try await loop.submit {
            let receiver = server.connected(connection)
            connection.receiver = receiver
            receiver.receive(text: ByteBuffer(string: "0\(prefix)"))
        }.get()
        for await text in connection.sent {
            let id = text.dropFirst(#"40\#(prefix){"sid":""#.count).dropLast(2)
            let sockets = await server.of(namespace).all.localSockets()
            if let socket = sockets.first(where: { $0.id == id }) { return (connection, socket) }
        }
        throw ChannelError.eof
    }
}
