import EngineIO
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import EngineIOServer

@Suite struct EngineLoopTests {
    private final class Silent: EngineApplication {
        func connected(_ connection: any EngineConnection) -> any EngineReceiver { Receiver() }
    }

    private final class Receiver: EngineReceiver {
        func receive(text: ByteBuffer) {}
        func receive(binary: ByteBuffer) {}
        func closed(_ reason: EngineCloseReason) {}
    }

    /// Remembers each flush by the number of writes before it.
    private final class Flushes: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        var writes = 0
        var flushed: [Int] = []

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            self.writes += 1
            context.write(data, promise: promise)
        }

        func flush(context: ChannelHandlerContext) {
            self.flushed.append(self.writes)
            self.writes = 0
            context.flush()
        }
    }

    private struct Peer {
        let session: EngineSession
        let flushes: Flushes
    }

    private func peers(_ count: Int, on eventLoop: EmbeddedEventLoop) throws -> [Peer] {
        let server = EngineServer(
            application: Silent(),
            eventLoopGroup: eventLoop,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let loop = try #require(server.loop(for: eventLoop))
        let peers = try (0..<count).map { number in
            let channel = EmbeddedChannel(loop: eventLoop)
            let request = EngineRequest(
                head: Array("GET /socket.io/ HTTP/1.1\r\n\r\n".utf8),
                remoteAddress: nil,
                receivedAt: .now(),
                isSecure: false
            )
            let session = EngineSession(sid: "\(number)", request: request, loop: loop)
            let transport = WebSocketTransport(owner: session)
            let flushes = Flushes()
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try channel.pipeline.syncOperations.addHandlers([flushes, transport])
            session.open(over: transport)
            transport.flushEarly()
            return Peer(session: session, flushes: flushes)
        }
        self.settle(eventLoop)
        for peer in peers { #expect(peer.flushes.flushed == [1]) }
        return peers
    }

    /// Lets all flushes come to their end; each goes on a moment after the last.
    private func settle(_ eventLoop: EmbeddedEventLoop) {
        for _ in 0..<10 { eventLoop.advanceTime(by: .microseconds(10)) }
    }

    @Test("A flush of many connections lets the loop read now and then")
    func longFlush() throws {
        let eventLoop = EmbeddedEventLoop()
        let peers = try self.peers(300, on: eventLoop)

        for peer in peers { peer.session.send(EngineMessage(text: ByteBuffer(string: "one"))) }
        eventLoop.run()
        // The loop may read here: it has nothing to run until a moment has passed.
        #expect(peers.map(\.flushes.flushed.count) == Array(repeating: 2, count: 128) + Array(repeating: 1, count: 172))

        for peer in peers { peer.session.send(EngineMessage(text: ByteBuffer(string: "two"))) }
        self.settle(eventLoop)
        // Those that still waited got both at once, and none is forgotten.
        for peer in peers[..<128] { #expect(peer.flushes.flushed == [1, 1, 1]) }
        for peer in peers[128...] { #expect(peer.flushes.flushed == [1, 2]) }
    }

    @Test("A handshake is answered before the loop's tick is over")
    func handshakeLeavesAtOnce() throws {
        let eventLoop = EmbeddedEventLoop()
        let peer = try #require(try self.peers(1, on: eventLoop).first)

        peer.session.send(EngineMessage(text: ByteBuffer(string: "one")))
        peer.session.send(EngineMessage(text: ByteBuffer(string: "two")))
        #expect(peer.flushes.flushed == [1])
        peer.session.flush()
        #expect(peer.flushes.flushed == [1, 2])
        self.settle(eventLoop)
        #expect(peer.flushes.flushed == [1, 2])
    }
}
