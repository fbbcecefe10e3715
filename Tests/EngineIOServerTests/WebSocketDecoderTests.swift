import EngineIO
import NIOCore
import Testing

@testable import EngineIOServer

@Suite struct WebSocketDecoderTests {
    static func frame(_ first: UInt8, _ payload: [UInt8], mask: [UInt8] = [9, 8, 7, 6], declared: Int? = nil) -> [UInt8]
    {
        let length = declared ?? payload.count
        var bytes = [first]
        if length < 126 {
            bytes.append(0x80 | UInt8(length))
        } else if length <= 0xFFFF {
            bytes += [0xFE, UInt8(length >> 8), UInt8(length & 0xFF)]
        } else {
            bytes.append(0xFF)
            bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
        }
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    private func decode(
        _ chunks: [[UInt8]],
        max: Int = 1000,
        inflater: Inflater? = nil
    ) throws(WebSocketFailure) -> [WebSocketEvent] {
        var decoder = WebSocketDecoder(maxMessageBytes: max, inflater: inflater)
        var events: [WebSocketEvent] = []
        for chunk in chunks {
            decoder.append(ByteBuffer(bytes: chunk))
            try decoder.decode { event in
                events.append(event)
                return true
            }
        }
        return events
    }

    private func failure(_ bytes: [UInt8], max: Int = 1000, inflater: Inflater? = nil) -> UInt16? {
        do {
            _ = try self.decode([bytes], max: max, inflater: inflater)
            return nil
        } catch {
            return error.code
        }
    }

    @Test("Messages are the same however their bytes are cut")
    func everySplit() throws {
        let bytes =
            Self.frame(0x81, Array("first".utf8)) + Self.frame(0x01, Array("ha".utf8))
            + Self.frame(0x89, [1]) + Self.frame(0x80, Array("lf".utf8))
            + Self.frame(0x82, [UInt8](repeating: 5, count: 300))
        let expected: [WebSocketEvent] = [
            .text(ByteBuffer(string: "first")), .ping(ByteBuffer(bytes: [1])), .text(ByteBuffer(string: "half")),
            .binary(ByteBuffer(repeating: 5, count: 300)),
        ]
        for cut in 1..<bytes.count {
            #expect(try self.decode([Array(bytes[..<cut]), Array(bytes[cut...])]) == expected)
        }
        #expect(try self.decode(bytes.map { [$0] }) == expected)
    }

    @Test("An unmasked frame, reserved bits, unknown opcodes and bad control frames are protocol errors")
    func protocolErrors() {
        #expect(self.failure([0x81, 0x01, 0x61]) == 1002)
        for bit: UInt8 in [0x40, 0x20, 0x10] { #expect(self.failure(Self.frame(0x81 | bit, [])) == 1002) }
        for opcode: UInt8 in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            #expect(self.failure(Self.frame(0x80 | opcode, [])) == 1002)
        }
        #expect(self.failure(Self.frame(0x89, [UInt8](repeating: 0, count: 126))) == 1002)
        #expect(self.failure(Self.frame(0x09, [])) == 1002)
        #expect(self.failure(Self.frame(0x80, [])) == 1002)
        #expect(self.failure(Self.frame(0x01, []) + Self.frame(0x81, [])) == 1002)
        #expect(self.failure(Self.frame(0x88, [3])) == 1002)
        #expect(self.failure(Self.frame(0x88, [0x03, 0xED])) == 1002)
    }

    @Test("A message over the bound is refused when its header has come, also over fragments")
    func tooLarge() {
        #expect(self.failure(Self.frame(0x82, [], declared: 1001)) == 1009)
        #expect(self.failure(Self.frame(0x82, [], declared: Int.max)) == 1009)
        let half = [UInt8](repeating: 0, count: 600)
        #expect(self.failure(Self.frame(0x02, half) + Self.frame(0x80, half)) == 1009)
    }

    @Test(
        "Text that is not UTF-8 is refused",
        arguments: [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80],
        ] as [[UInt8]]
    )
    func invalidText(bytes: [UInt8]) {
        #expect(self.failure(Self.frame(0x81, bytes)) == 1007)
        #expect(self.failure(Self.frame(0x81, Array("plain text before ".utf8) + bytes)) == 1007)
        #expect(self.failure(Self.frame(0x88, [0x03, 0xE8] + bytes)) == 1007)
    }

    @Test("A close frame tells its code")
    func close() throws {
        #expect(try self.decode([Self.frame(0x88, [])]) == [.close(nil)])
        #expect(try self.decode([Self.frame(0x88, [0x03, 0xE8, 0x62])]) == [.close(1000)])
    }

    @Test(
        "A handshake's head is read strictly",
        arguments: [
            "GET / HTTP/1.0\r\nHost: a", "POST / HTTP/1.1\r\nHost: a", "GET / HTTP/1.1", "GET  / HTTP/1.1\r\nHost: a",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b", "GET / HTTP/1.1\r\nHost : a",
            "GET / HTTP/1.1\r\nHost: a\r\n folded",
            "GET / HTTP/1.1\r\nHost: a\nX: b", "GET / HTTP/1.1\r\nHost: a\r\n: b",
        ]
    )
    func malformedHead(text: String) {
        #expect(throws: UpgradeRequestHead.Failure.malformed) { try UpgradeRequestHead(Array(text.utf8)) }
    }

    @Test("Nothing is kept or understood of what follows a broken frame")
    func afterFailure() throws {
        var decoder = WebSocketDecoder(maxMessageBytes: 100)
        decoder.append(ByteBuffer(bytes: [0xF1]))
        #expect(throws: WebSocketFailure.self) { try decoder.decode { _ in true } }
        decoder.append(ByteBuffer(bytes: Self.frame(0x81, [0x34])))
        try decoder.decode { _ in
            Issue.record("an event after a failure")
            return true
        }
    }

    // MARK: Compression

    private static func deflated(_ bytes: [UInt8]) throws -> [UInt8] {
        var out = ByteBuffer()
        try #require(try #require(Deflater(.message)).compress(ByteBuffer(bytes: bytes), into: &out))
        return Array(out.readableBytesView)
    }

    @Test("Compressed messages, whole and in fragments, come out the same however their bytes are cut")
    func compressed() throws {
        let inflater = try #require(Inflater())
        let text = Array(String(repeating: "row 7, ", count: 50).utf8)
        let data = try Self.deflated(text)
        let half = data.count / 2
        let bytes =
            Self.frame(0xC1, data) + Self.frame(0x41, Array(data[..<half])) + Self.frame(0x89, [])
            + Self.frame(0x00, []) + Self.frame(0x80, Array(data[half...])) + Self.frame(0x81, Array("plain".utf8))
            + Self.frame(0xC2, data)
        let expected: [WebSocketEvent] = [
            .text(ByteBuffer(bytes: text)), .ping(ByteBuffer()), .text(ByteBuffer(bytes: text)),
            .text(ByteBuffer(string: "plain")), .binary(ByteBuffer(bytes: text)),
        ]
        for cut in 1..<bytes.count {
            let chunks = [Array(bytes[..<cut]), Array(bytes[cut...])]
            #expect(try self.decode(chunks, inflater: inflater) == expected)
        }
        #expect(try self.decode(bytes.map { [$0] }, inflater: inflater) == expected)
    }

    @Test("RSV1 belongs to the first frame of a compressed message and to nothing else; RSV2 and RSV3 to none")
    func reservedBits() throws {
        let inflater = try #require(Inflater())
        let data = try Self.deflated([0x34])
        #expect(self.failure(Self.frame(0xC1, data)) == 1002)
        #expect(self.failure(Self.frame(0xC1, data), inflater: inflater) == nil)
        for first: UInt8 in [0xC8, 0xC9, 0xCA, 0xE1, 0xD1, 0xA2, 0x92, 0xF1] {
            #expect(self.failure(Self.frame(first, data), inflater: inflater) == 1002)
        }
        for first: UInt8 in [0x41, 0x01] {
            let bytes = Self.frame(first, []) + Self.frame(0xC0, data)
            #expect(self.failure(bytes, inflater: inflater) == 1002)
        }
    }

    @Test("Data that are not deflated are 1007, and text that is not UTF-8 when inflated as well")
    func invalidData() throws {
        let inflater = try #require(Inflater())
        #expect(self.failure(Self.frame(0xC2, [0xFF, 0xFF]), inflater: inflater) == 1007)
        #expect(self.failure(Self.frame(0xC1, try Self.deflated([0x61, 0xC3])), inflater: inflater) == 1007)
        #expect(self.failure(Self.frame(0xC2, try Self.deflated([0x61, 0xC3])), inflater: inflater) == nil)
    }

    @Test("A message that inflates to more than the bound is 1009, one that just fits is taken, even as noise")
    func inflatedBound() throws {
        let inflater = try #require(Inflater())
        let data = try Self.deflated([UInt8](repeating: 0, count: 1000))
        #expect(self.failure(Self.frame(0xC2, data), max: 1000, inflater: inflater) == nil)
        #expect(self.failure(Self.frame(0xC2, data), max: 999, inflater: inflater) == 1009)
        // Not compressed at all: a stored block is five bytes longer than what it holds.
        let stored = [0x00, 0xE8, 0x03, 0x17, 0xFC] + [UInt8](repeating: 7, count: 1000) + [0x00]
        #expect(self.failure(Self.frame(0xC2, stored), max: 1000, inflater: inflater) == nil)
        #expect(self.failure(Self.frame(0xC2, [], declared: 2000), max: 1000, inflater: inflater) == 1009)
        let empty =
            Self.frame(0x42, [UInt8](repeating: 0, count: 600)) + Self.frame(0, [UInt8](repeating: 0, count: 600))
        #expect(self.failure(empty, max: 1000, inflater: inflater) == 1009)
    }

    @Test(
        "Fragments of text that cannot become UTF-8 are refused before the message is complete",
        arguments: [
            ([0x61, 0xF4], [0x90]), ([0xCE, 0xBA, 0xE1], [0xBD, 0x61]), ([], [0x80]), ([0xED], [0xA0]),
            ([0xE0], [0x9F]), ([0xF0, 0x9F], [0x98, 0xC0]),
        ] as [([UInt8], [UInt8])]
    )
    func failsFast(first: [UInt8], second: [UInt8]) throws {
        #expect(self.failure(Self.frame(0x01, first)) == nil)
        #expect(self.failure(Self.frame(0x01, first) + Self.frame(0x00, second)) == 1007)
        #expect(self.failure(Self.frame(0x02, first) + Self.frame(0x80, second)) == nil)
    }

    @Test("A character may be cut anywhere between fragments")
    func charactersInFragments() throws {
        let text = Array("aé€😀\u{10FFFF}\u{D7FF}".utf8)
        for cut in 0...text.count {
            for second in cut...text.count {
                let bytes =
                    Self.frame(0x01, Array(text[..<cut])) + Self.frame(0x00, Array(text[cut..<second]))
                    + Self.frame(0x80, Array(text[second...]))
                #expect(try self.decode([bytes]) == [.text(ByteBuffer(bytes: text))])
            }
        }
    }
}
