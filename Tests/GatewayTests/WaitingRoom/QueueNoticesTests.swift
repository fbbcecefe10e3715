import Dispatch
import EngineIO
import Events
import Foundation
import HoldfastCore
import Logging
import NIOCore
import NIOPosix
import Postgres
import Redis
import Sessions
import SocketIO
import Testing
import WaitingRoom

@testable import Gateway

@Suite struct QueueNoticesTests {
    /// A connection without a network: what the server sends comes out of ``sent``.
    private final class Connection: EngineConnection, @unchecked Sendable {
        let sid = "fan"
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
        /// Touched on the loop only, which is what makes the class Sendable.
        private var receiver: (any EngineReceiver)?

        init(_ eventLoop: any EventLoop) {
            self.eventLoop = eventLoop
            // The test sends three packets and reads them.
            (sent, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10))
        }

        func send(_ message: EngineMessage) { sink.yield(String(buffer: message.payload)) }
        func flush() {}
        func close(_ reason: EngineCloseReason) { sink.finish() }

        /// On the loop: joins the main namespace.
        func join(_ server: SocketIOServer) {
            let receiver = server.connected(self)
            self.receiver = receiver
            receiver.receive(text: ByteBuffer(string: "0"))
        }
    }

    private static let logger = Logger(label: "test.notices") { _ in SwiftLogNoOpLogHandler() }

    /// Nothing here asks a store: the clients are never run.
    private func waitingRoom(_ group: any EventLoopGroup) throws -> (WaitingRoom, RedisSubscriber) {
        let redis = try RedisConfiguration(url: "redis://127.0.0.1:1")
        let postgres = PostgresClient(
            configuration: try PostgresConfiguration(url: "postgresql://127.0.0.1:1/none"),
            logger: Self.logger
        )
        let room = WaitingRoom(
            redis: RedisClient(configuration: redis, eventLoopGroup: group, logger: Self.logger),
            postgres: postgres,
            events: Events(postgres: postgres),
            logger: Self.logger
        )
        return (room, RedisSubscriber(configuration: redis, eventLoopGroup: group, logger: Self.logger))
    }

    private func position(in packet: String?) throws -> Int {
        struct Place: Decodable { let position: Int }
        let text = try #require(packet)
        let payload = try #require(text.firstIndex(of: "{"))
        return try JSONDecoder().decode(Place.self, from: Data(text[payload...].dropLast().utf8)).position
    }

    @Test("A place that was chosen to be told before a better one is answered is not told behind the answer")
    func notBehindAnAnswer() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (loop, event, ann) = (group.any(), EventID(), try #require(UserID("ann")))
        let io = SocketIOServer(configuration: SocketIOConfiguration(), eventLoopGroup: group, logger: Self.logger)
        let (arrivals, sink) = AsyncStream.makeStream(of: Socket.self, bufferingPolicy: .bufferingNewest(1))
        io.of("/").onConnection(inline: { sink.yield($0) })
        let connection = Connection(loop)
        try await loop.submit { connection.join(io) }.get()
        var (joined, packets) = (arrivals.makeAsyncIterator(), connection.sent.makeAsyncIterator())
        let socket = try #require(await joined.next())
        #expect(await packets.next()?.hasPrefix("40") == true)
        socket.data = SocketIdentity(
            user: ann,
            session: try #require(SessionHandle(String(repeating: "A", count: 43))),
            sessionExpiresAt: .now + .seconds(60)
        )
        let sockets = LocalSockets()
        sockets.add(socket)

        let (room, subscriber) = try waitingRoom(group)
        let feed = QueueFeed(waitingRoom: room, subscriber: subscriber) { _, _, _ in [] }
        let secret = Data((0..<32).map { UInt8($0) }).base64EncodedString()
        let passes = EntryPasses(signer: try await EntryPassSigner(secrets: [secret]), waitingRoom: room)
        let notices = QueueNotices(sockets: sockets, passes: passes, logger: Self.logger)
        feed.watch(ann, in: event)
        _ = feed.answering(.waiting(qseq: 600, position: 555, total: 600, eta: nil), to: ann, in: event)

        // The loop has much to do before it comes to the answer, which leaves at once when it is ready.
        let gate = DispatchSemaphore(value: 0)
        let answered = loop.submit {
            gate.wait()
            let found = QueueStanding.waiting(qseq: 600, position: 549, total: 600, eta: nil)
            guard case .waiting(_, let position, _, _) = feed.answering(found, to: ann, in: event) else { return }
            socket.emit("session-restored", ["position": position])
        }
        let notice = QueueNotice.position(ann, qseq: 600, position: 555, total: 600, eta: nil)
        let unsaid = await notices.deliver([notice], of: event, by: feed)
        gate.signal()
        try await answered.get()
        #expect(unsaid.isEmpty)
        let first = try position(in: await packets.next())
        let second = try position(in: await packets.next())
        #expect((first, second) == (549, 549))
        try await group.shutdownGracefully()
    }
}
