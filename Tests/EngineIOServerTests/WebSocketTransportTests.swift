import EngineIO
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import EngineIOServer

@Suite struct WebSocketTransportTests {
    private final class Echo: EngineApplication {
        func connected(_ connection: any EngineConnection) -> any EngineReceiver { Receiver(connection) }
    }

    private final class Receiver: EngineReceiver {
        let connection: any EngineConnection

        init(_ connection: any EngineConnection) { self.connection = connection }

        func receive(text: ByteBuffer) { connection.close(.forcedClose) }
        func receive(binary: ByteBuffer) {}
        func closed(_ reason: EngineCloseReason) {}
    }

    /// A connection whose peer is gone: whatever is written ends it within the call.
    private final class BrokenPipe: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        func flush(context: ChannelHandlerContext) { context.close(promise: nil) }
    }

    @Test(
        "A write that fails while a frame is being handled ends the session and nothing else",
        arguments: [[0x88, 0x80, 1, 2, 3, 4], [0x81, 0x82, 0, 0, 0, 0, 0x34, 0x78, 0x81, 0x81, 0, 0, 0, 0, 0x33]]
            as [[UInt8]]
    )
    func failingWrite(frames: [UInt8]) throws {
        let channel = EmbeddedChannel()
        let server = EngineServer(
            application: Echo(),
            eventLoopGroup: channel.embeddedEventLoop,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let loop = try #require(server.loop(for: channel.embeddedEventLoop))
        let request = EngineRequest(
            head: Array("GET /socket.io/ HTTP/1.1\r\n\r\n".utf8),
            remoteAddress: nil,
            receivedAt: .now(),
            isSecure: false
        )
        let session = EngineSession(sid: "s", request: request, loop: loop)
        let transport = WebSocketTransport(owner: session)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.pipeline.syncOperations.addHandlers([BrokenPipe(), transport])
        session.open(over: transport)

        try channel.writeInbound(ByteBuffer(bytes: frames))

        #expect(session.isClosed)
        #expect(server.connectionCount == 0)
        channel.embeddedEventLoop.run()
    }
}
