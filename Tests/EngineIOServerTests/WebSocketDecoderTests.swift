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

    private func decode(_ chunks: [[UInt8]], max: Int = 1000) throws(WebSocketFailure) -> [WebSocketEvent] {
        var decoder = WebSocketDecoder(maxMessageBytes: max)
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

    private func failure(_ bytes: [UInt8], max: Int = 1000) -> UInt16? {
        do {
            _ = try self.decode([bytes], max: max)
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
}
