import NIOCore
import Testing

@testable import EngineIOServer

@Suite struct CompressionTests {
    private static let text = ByteBuffer(string: String(repeating: "seat 12, row 7; ", count: 500))
    /// Bytes that do not compress: a fixed linear congruence.
    private static let noise: ByteBuffer = {
        var state: UInt32 = 1
        return ByteBuffer(
            bytes: (0..<200_000).map { _ in
                state = state &* 1_664_525 &+ 1_013_904_223
                return UInt8(truncatingIfNeeded: state >> 24)
            }
        )
    }()

    private static func deflated(_ bytes: ByteBuffer) throws -> ByteBuffer {
        let deflater = try #require(Deflater(.message))
        var out = ByteBuffer()
        try #require(deflater.compress(bytes, into: &out))
        return out
    }

    private static func inflated(_ bytes: ByteBuffer, maxBytes: Int = 1 << 20) throws -> ByteBuffer {
        let inflater = try #require(Inflater())
        return try inflater.decompress(bytes, maxBytes: maxBytes)
    }

    @Test("A message comes out as it went in, whatever its size, and a used compressor is as good as a new one")
    func roundTrip() throws {
        let deflater = try #require(Deflater(.message))
        let inflater = try #require(Inflater())
        for bytes in [ByteBuffer(), ByteBuffer(string: "4"), Self.text, Self.noise, Self.text] {
            var out = ByteBuffer()
            #expect(deflater.compress(bytes, into: &out))
            #expect(try Self.deflated(bytes) == out)
            #expect(try inflater.decompress(out, maxBytes: bytes.readableBytes) == bytes)
        }
        #expect(try Self.deflated(Self.text).readableBytes < Self.text.readableBytes / 20)
    }

    @Test("What is appended to a buffer leaves the buffer's beginning alone")
    func appends() throws {
        let deflater = try #require(Deflater(.message))
        var out = ByteBuffer(string: "head")
        #expect(deflater.compress(Self.text, into: &out))
        #expect(out.readString(length: 4) == "head")
        #expect(try Self.inflated(out) == Self.text)
    }

    @Test(
        "The examples of RFC 7692, section 7.2.3, are understood",
        arguments: [
            [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],  // one block
            [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],  // no compression
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],  // a final block
            [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],  // a final block and nothing after it
            [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],  // two blocks
        ] as [[UInt8]]
    )
    func examples(bytes: [UInt8]) throws {
        #expect(try Self.inflated(ByteBuffer(bytes: bytes)) == ByteBuffer(string: "Hello"))
    }

    @Test("A block may look back beyond a final one")
    func windowBeyondFinalBlock() throws {
        // "Hello" in a final block, then a fixed block that repeats its last four letters: length 4, distance 4.
        let bytes: [UInt8] = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00] + [0x02, 0x61, 0x00, 0x00]
        let whole = try Self.inflated(ByteBuffer(bytes: bytes))
        #expect(whole == ByteBuffer(string: "Helloello"))
    }

    @Test("Data that are no deflated blocks or are cut short are refused, never trusted")
    func invalid() throws {
        for bytes: [UInt8] in [[0x07], [0xFF, 0xFF], [0x00, 0x05, 0x00, 0x00, 0x00], [0xF2, 0x48], [0x05]] {
            #expect(throws: Inflater.Failure.invalid) { try Self.inflated(ByteBuffer(bytes: bytes)) }
        }
        let whole = try Self.deflated(Self.text)
        for length in 1..<whole.readableBytes {
            let cut = try #require(whole.getSlice(at: whole.readerIndex, length: length))
            if let bytes = try? Self.inflated(cut) {
                #expect(Self.text.readableBytesView.starts(with: bytes.readableBytesView))
            }
        }
    }

    @Test("No more than the bound comes out, by one byte, and a bomb costs no more memory than that")
    func bomb() throws {
        let bomb = try Self.deflated(ByteBuffer(repeating: 0x61, count: 32 << 20))
        #expect(throws: Inflater.Failure.tooLarge) { try Self.inflated(bomb, maxBytes: 10_000) }
        for size in [0, 1, 511, 512, 513, 10_000] {
            let bytes = try Self.deflated(ByteBuffer(repeating: 0x61, count: size))
            #expect(try Self.inflated(bytes, maxBytes: size).readableBytes == size)
            #expect(try Self.inflated(bytes, maxBytes: size).capacity <= max(1024, 2 * size))
            guard size > 0 else { continue }
            #expect(throws: Inflater.Failure.tooLarge) { try Self.inflated(bytes, maxBytes: size - 1) }
        }
    }

    @Test("A gzip member has its header and the length of what it holds")
    func gzip() throws {
        for bytes in [ByteBuffer(), Self.text, Self.noise] {
            let member = try #require(Gzip.compress(bytes))
            #expect(Array(member.readableBytesView.prefix(3)) == [0x1F, 0x8B, 8])
            let end = member.writerIndex
            let length = member.getInteger(at: end - 4, endianness: .little, as: UInt32.self)
            #expect(length.map { Int($0) } == bytes.readableBytes)
            let data = try #require(member.getSlice(at: member.readerIndex + 10, length: member.readableBytes - 18))
            #expect(try Self.inflated(data) == bytes)
        }
    }
}
