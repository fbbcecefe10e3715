import NIOCore
import Testing

@testable import EngineIO

@Suite struct EnginePacketTests {
    @Test("A text packet is its type's digit and its data")
    func textPacket() throws {
        #expect(try EnginePacket(text: ByteBuffer(string: "4hello")) == .text(ByteBuffer(string: "hello")))
        #expect(try EnginePacket(text: ByteBuffer(string: "3")) == .pong(ByteBuffer()))
        #expect(try EnginePacket(text: ByteBuffer(string: "1")) == .close)
    }

    @Test("An empty or unknown packet is refused", arguments: ["", "7", "x", "é"])
    func invalidPacket(text: String) {
        #expect(throws: PacketError.self) { try EnginePacket(text: ByteBuffer(string: text)) }
    }

    @Test("A payload is split at the record separator; b begins base64")
    func payload() throws {
        let packets = try EnginePayload.decode(ByteBuffer(string: "4a\u{1e}bAQID\u{1e}2probe"))
        #expect(
            packets == [
                .text(ByteBuffer(string: "a")), .binary(ByteBuffer(bytes: [1, 2, 3])),
                .ping(ByteBuffer(string: "probe")),
            ]
        )
    }

    @Test(
        "A payload with an empty packet or broken base64 is refused",
        arguments: ["", "4a\u{1e}", "bAQ", "bA?==", "b===="]
    )
    func invalidPayload(text: String) {
        #expect(throws: PacketError.self) { try EnginePayload.decode(ByteBuffer(string: text)) }
    }

    @Test("Base64 of every length comes back as it was")
    func base64() throws {
        for length in 0..<20 {
            let bytes = ByteBuffer(bytes: (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37) })
            var text = ByteBuffer()
            Base64.encode(bytes, into: &text)
            #expect(try Base64.decode(text) == bytes)
        }
    }

    @Test(
        "A message is one server frame, with the shortest length, whatever its size",
        arguments: [0, 124, 125, 65_534, 65_535]
    )
    func frames(size: Int) {
        let message = EngineMessage(text: ByteBuffer(repeating: 0x61, count: size))
        let header = size + 1 < 126 ? 2 : size + 1 <= 0xFFFF ? 4 : 10
        #expect(message.frame.readableBytes == header + 1 + size)
        #expect(message.payload.readableBytes == size + 1)
        #expect(message.frame.readableBytesView.first == 0x81)
        #expect(EngineMessage(binary: ByteBuffer(bytes: [7])).frame == ByteBuffer(bytes: [0x82, 1, 7]))
    }

    @Test("A request's query and header fields are found without regard to the case of names")
    func request() {
        let head = "GET /socket.io/?EIO=4&name=a%20b+c HTTP/1.1\r\nHost: x\r\nX-Two:  padded \r\nCookie: a=1"
        let request = EngineRequest(
            head: Array(head.utf8),
            remoteAddress: nil,
            receivedAt: .uptimeNanoseconds(0),
            isSecure: false
        )
        #expect(request.path == "/socket.io/")
        #expect(request.query("EIO") == "4")
        #expect(request.query("name") == "a b c")
        #expect(request.query("none") == nil)
        #expect(request.header("x-two") == "padded")
        #expect(request.header("COOKIE") == "a=1")
        #expect(request.headers.count == 3)
    }
}
