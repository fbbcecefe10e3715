import EngineIO
import NIOCore
import Testing

@testable import EngineIOServer

@Suite struct MessageCompressionTests {
    private static let message = EngineMessage(text: ByteBuffer(repeating: 0x61, count: 2000))

    private static func address(_ bytes: ByteBuffer) -> UnsafeRawPointer? {
        bytes.withUnsafeReadableBytes { $0.baseAddress }
    }

    @Test("A message of many sockets is compressed once, attachments too, and the frame is shared")
    func shared() throws {
        let compression = try #require(MessageCompression(PerMessageDeflate()))
        let attachment = EngineMessage(binary: ByteBuffer(repeating: 0x62, count: 3000))
        let first = compression.frame(of: Self.message, maxCompressedBytes: .max)
        let second = compression.frame(of: attachment, maxCompressedBytes: .max)
        #expect(first.readableBytes < 100)
        for _ in 0..<3 {
            let again = compression.frame(of: Self.message, maxCompressedBytes: .max)
            #expect(Self.address(again) == Self.address(first))
            let other = compression.frame(of: attachment, maxCompressedBytes: .max)
            #expect(Self.address(other) == Self.address(second))
        }
        compression.forget()
        let later = compression.frame(of: Self.message, maxCompressedBytes: .max)
        #expect(later == first && Self.address(later) != Self.address(first))
    }

    @Test("A compressed frame carries RSV1 and what the message was, and holds no more room than it needs")
    func frames() throws {
        let compression = try #require(MessageCompression(PerMessageDeflate(threshold: 1)))
        let frame = compression.frame(of: Self.message, maxCompressedBytes: .max)
        #expect(frame.readableBytesView.first == 0xC1)
        #expect(frame.capacity <= 128)
        var decoder = WebSocketDecoder(maxMessageBytes: 4000, inflater: compression.inflater)
        var masked = frame
        masked.setInteger(UInt8(0x80 | (frame.readableBytes - 2)), at: masked.readerIndex + 1)
        let head = masked.readSlice(length: 2)
        decoder.append(try #require(head))
        decoder.append(ByteBuffer(bytes: [0, 0, 0, 0]))
        decoder.append(masked)
        var events: [WebSocketEvent] = []
        try decoder.decode { event in
            events.append(event)
            return true
        }
        #expect(events == [.text(Self.message.payload)])
        let binary = EngineMessage(binary: ByteBuffer(repeating: 1, count: 500))
        #expect(compression.frame(of: binary, maxCompressedBytes: .max).readableBytesView.first == 0xC2)
    }

    @Test("Short messages, those that do not get shorter and those beyond the client's window go as they are")
    func plain() throws {
        let compression = try #require(MessageCompression(PerMessageDeflate(threshold: 1024)))
        let short = EngineMessage(text: ByteBuffer(repeating: 0x61, count: 1022))
        #expect(compression.frame(of: short, maxCompressedBytes: .max) == short.frame)
        let enough = EngineMessage(text: ByteBuffer(repeating: 0x61, count: 1023))
        #expect(compression.frame(of: enough, maxCompressedBytes: .max) != enough.frame)
        #expect(compression.frame(of: Self.message, maxCompressedBytes: 2001) != Self.message.frame)
        #expect(compression.frame(of: Self.message, maxCompressedBytes: 2000) == Self.message.frame)
        var generator = SystemRandomNumberGenerator()
        let noise = EngineMessage(
            binary: ByteBuffer(bytes: (0..<2000).map { _ in UInt8.random(in: 0...255, using: &generator) })
        )
        #expect(compression.frame(of: noise, maxCompressedBytes: .max) == noise.frame)
    }
}
