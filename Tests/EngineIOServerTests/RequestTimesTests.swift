import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Testing

@testable import EngineIOServer

/// How long a peer may take for a request.
@Suite struct RequestTimesTests {
    private struct Connection {
        let channel: EmbeddedChannel
        var loop: EmbeddedEventLoop { self.channel.embeddedEventLoop }

        init() throws {
            self.channel = EmbeddedChannel()
            let promise = self.channel.eventLoop.makePromise(of: FirstRequestOutcome<Bool>.self)
            let waiter = FirstRequestHandler<Bool>.Waiter.promise(promise) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withPipeliningAssistance: false,
                        withErrorHandling: false
                    )
                    try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
                    return true
                }
            }
            let handler = FirstRequestHandler<Bool>(engines: [], waiter: waiter)
            try self.channel.pipeline.syncOperations.addHandler(handler)
            try self.channel.connect(to: .init(ipAddress: "127.0.0.1", port: 1), promise: nil)
        }

        func read(_ text: String) throws { try self.channel.writeInbound(ByteBuffer(string: text)) }

        /// All that was answered since the last look.
        func answer() throws -> String {
            var text = ""
            while let bytes = try self.channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
            return text
        }
    }

    @Test("A head that is not complete in 10 s is answered with 408, also when it drips and when it is a second one")
    func slowHead() throws {
        for first in ["", "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let connection = try Connection()
            if !first.isEmpty {
                try connection.read(first)
                connection.loop.advanceTime(by: .seconds(60))
            }
            for byte in ["G", "E", "T", " ", "/", "x", " ", "H", "T"] {
                try connection.read(byte)
                connection.loop.advanceTime(by: .seconds(1))
            }
            #expect(try connection.answer() == "")
            connection.loop.advanceTime(by: .seconds(1))
            #expect(try connection.answer().hasPrefix("HTTP/1.1 408 "))
            #expect(!connection.channel.isActive)
        }
    }

    @Test("Who says nothing at all is answered with 408 after 10 s")
    func silent() throws {
        let connection = try Connection()
        connection.loop.advanceTime(by: .seconds(10))
        #expect(try connection.answer().hasPrefix("HTTP/1.1 408 "))
    }

    @Test("A body that is not complete 15 s after its head is answered with 408")
    func slowBody() throws {
        let connection = try Connection()
        try connection.read("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        for _ in 0..<14 {
            connection.loop.advanceTime(by: .seconds(1))
            try connection.read("a")
        }
        #expect(try connection.answer() == "")
        connection.loop.advanceTime(by: .seconds(1))
        #expect(try connection.answer().hasPrefix("HTTP/1.1 408 "))
    }

    @Test("A connection between two requests is not in a hurry")
    func idle() throws {
        let connection = try Connection()
        try connection.read("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
        connection.loop.advanceTime(by: .seconds(9))
        try connection.read("a")
        connection.loop.advanceTime(by: .seconds(1_000))
        #expect(try connection.answer() == "")
        #expect(connection.channel.isActive)
        _ = try? connection.channel.finish()
    }
}
