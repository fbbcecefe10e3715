import NIOCore
import NIOEmbedded
import Testing

@testable import EngineIOServer

@Suite struct OpeningConnectionsTests {
    private func connection(_ opening: OpeningConnections) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        let promise = channel.eventLoop.makePromise(of: FirstRequestOutcome<Int>.self)
        let handler = FirstRequestHandler<Int>(
            engines: [],
            waiter: .promise(promise) { $0.eventLoop.makeFailedFuture(ChannelError.eof) },
            opening: opening
        )
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.embeddedEventLoop.run()
        return channel
    }

    @Test("A connection beyond the bound on those that have said nothing is closed; one that ends makes room")
    func bound() throws {
        let opening = OpeningConnections(limit: 2)
        let first = try self.connection(opening)
        let second = try self.connection(opening)
        let third = try self.connection(opening)
        #expect(first.isActive && second.isActive && !third.isActive)

        first.close(promise: nil)
        first.embeddedEventLoop.run()
        let fourth = try self.connection(opening)
        let fifth = try self.connection(opening)
        #expect(second.isActive && fourth.isActive && !fifth.isActive)

        // Who says nothing has ten seconds for it.
        second.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(!second.isActive)
        #expect(try self.connection(opening).isActive)
    }
}
