import EngineIO
import NIOCore
import Testing

@testable import EngineIOServer

/// Sections 12 and 13 of the Autobahn test suite: permessage-deflate.
@Suite(.timeLimit(.minutes(20))) struct AutobahnCompressionTests {
    /// A client that has negotiated compression.
    private struct Client {
        let raw: RawClient
        let deflater: Deflater
        let inflater: Inflater

        func compressed(_ payload: [UInt8]) throws -> [UInt8] {
            var out = ByteBuffer()
            try #require(self.deflater.compress(ByteBuffer(bytes: payload), into: &out))
            return Array(out.readableBytesView)
        }

        /// The next message, inflated if it came deflated.
        func message() async throws -> (payload: [UInt8], isText: Bool, wasCompressed: Bool) {
            switch try await self.raw.frame() {
            case .text(let text): return (Array(text.utf8), true, false)
            case .binary(let bytes): return (bytes, false, false)
            case .other(let first, let bytes) where first == 0xC1 || first == 0xC2:
                let whole = try self.inflater.decompress(ByteBuffer(bytes: bytes), maxBytes: 1 << 20)
                return (Array(whole.readableBytesView), first == 0xC1, true)
            case let frame:
                Issue.record("unexpected \(frame)")
                throw ChannelError.eof
            }
        }
    }

    private static func connect(
        _ server: TestServer,
        offer: String,
        answer: String?,
        _ body: (Client) async throws -> Void
    ) async throws {
        try await RawClient.connect(server.port) { client in
            try await client.send(
                RawClient.upgradeRequest(
                    "/socket.io/?EIO=4&transport=websocket",
                    "Sec-WebSocket-Extensions: \(offer)\r\n"
                )
            )
            let head = try await client.head()
            let field = head.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Extensions: ") }
            #expect(field.map { String($0.dropFirst("Sec-WebSocket-Extensions: ".count)) } == answer)
            _ = try await client.frame()
            let deflater = try #require(Deflater(.message))
            let inflater = try #require(Inflater())
            try await body(Client(raw: client, deflater: deflater, inflater: inflater))
        }
    }

    private static let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    /// Text that compresses well, some that does so less, and bytes that do not.
    private enum Kind: CaseIterable {
        case json, letters, noise

        var isText: Bool { self != .noise }

        func bytes(_ count: Int) -> [UInt8] {
            var state = UInt32(truncatingIfNeeded: count)
            let pattern = Array(#"{"seat":[12,7],"ok":true},"#.utf8)
            return (0..<count).map { (index: Int) -> UInt8 in
                state = state &* 1_664_525 &+ 1_013_904_223
                switch self {
                case .json: return pattern[index % pattern.count]
                case .letters: return 0x61 + UInt8(state >> 28)
                case .noise: return UInt8(truncatingIfNeeded: state >> 24)
                }
            }
        }
    }

    private static let sizes = [0, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072]

    @Test("12: compressed messages of all sizes and kinds come back as they were, in frames of any size")
    func messages() async throws {
        try await EngineEcho.serve(maxPayload: 200_000, compression: PerMessageDeflate(threshold: 1)) { server in
            try await Self.connect(server, offer: "permessage-deflate", answer: Self.agreed) { client in
                for kind in Kind.allCases {
                    for size in Self.sizes {
                        let payload = (kind.isText ? [0x34] : []) + kind.bytes(size)
                        let data = try client.compressed(payload)
                        for frameSize in [data.count, 1024, 61] where data.count / frameSize < 300 {
                            var frames = AutobahnTests.fragments(data, size: frameSize)
                            frames[0][0] = (frames[0][0] & 0x80) | (kind.isText ? 0x41 : 0x42)
                            try await client.raw.send(bytes: Array(frames.joined()))
                            let message = try await client.message()
                            #expect(message.payload == payload && message.isText == kind.isText, "\(kind), \(size)")
                            #expect(message.wasCompressed == (kind.isText && size >= 64), "\(kind), \(size)")
                        }
                    }
                }
            }
        }
    }

    @Test(
        "13: a client's wishes about windows and contexts are granted",
        arguments: [
            ("permessage-deflate; server_no_context_takeover", agreed),
            ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", agreed),
            ("permessage-deflate; server_max_window_bits=9", agreed + "; server_max_window_bits=9"),
            ("permessage-deflate; server_max_window_bits=15", agreed + "; server_max_window_bits=15"),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits",
                agreed + "; server_max_window_bits=9"
            ),
            ("permessage-deflate; server_max_window_bits=7, permessage-deflate; client_max_window_bits=8", agreed),
        ]
    )
    func offers(offer: String, answer: String) async throws {
        try await EngineEcho.serve(compression: PerMessageDeflate(threshold: 1)) { server in
            try await Self.connect(server, offer: offer, answer: answer) { client in
                for size in [100, 511, 513, 40_000] {
                    let payload = [0x34] + [UInt8](repeating: 0x61, count: size - 1)
                    try await client.raw.send(bytes: AutobahnCase.frame(0xC1, try client.compressed(payload)))
                    let message = try await client.message()
                    #expect(message.payload == payload)
                    // Nothing may refer further back than the window that the client keeps.
                    #expect(message.wasCompressed == (!answer.hasSuffix("=9") || size <= 512))
                }
            }
        }
    }

    @Test(
        "An endpoint without compression, and an offer that cannot be met, are answered without the extension",
        arguments: [(false, "permessage-deflate"), (true, "permessage-deflate; unknown"), (true, "x-deflate")]
    )
    func notNegotiated(isOn: Bool, offer: String) async throws {
        try await EngineEcho.serve(compression: isOn ? PerMessageDeflate(threshold: 1) : nil) { server in
            try await Self.connect(server, offer: offer, answer: nil) { client in
                let text = String(repeating: "a", count: 5000)
                try await client.raw.send(bytes: AutobahnCase.text(text))
                #expect(try await client.raw.frame() == AutobahnCase.echo(text))
                try await client.raw.send(bytes: AutobahnCase.frame(0xC1, try client.compressed([0x34])))
                #expect(try await client.raw.frame() == .close(1002))
            }
        }
    }

    @Test("Offers in several header fields are one list")
    func severalFields() async throws {
        try await EngineEcho.serve(compression: PerMessageDeflate()) { server in
            let offer = "x-deflate\r\nSec-WebSocket-Extensions: permessage-deflate"
            try await Self.connect(server, offer: offer, answer: Self.agreed) { _ in }
        }
    }

    @Test(
        "What must not be sent compressed is answered with the right close code",
        arguments: [
            (AutobahnCase.frame(0xC2, [0xFF, 0xFF]), 1007), (AutobahnCase.frame(0xC9), 1002),
            (AutobahnCase.frame(0xC8, [3, 0xE8]), 1002), (AutobahnCase.frame(0xA1, [0x34]), 1002),
            (AutobahnCase.frame(0x01, [0x34]) + AutobahnCase.frame(0xC0), 1002), (AutobahnCase.frame(0xC0), 1002),
            // 200,000 times the letter a.
            (AutobahnCase.frame(0xC2, bomb), 1009),
        ] as [([UInt8], Int)]
    )
    func failures(bytes: [UInt8], code: Int) async throws {
        try await EngineEcho.serve(compression: PerMessageDeflate()) { server in
            try await Self.connect(server, offer: "permessage-deflate", answer: Self.agreed) { client in
                try await client.raw.send(bytes: bytes)
                #expect(try await client.raw.frame() == .close(code))
                #expect(try await client.raw.frame() == .end)
            }
        }
    }

    private static let bomb: [UInt8] = {
        var out = ByteBuffer()
        guard Deflater(.message)?.compress(ByteBuffer(repeating: 0x61, count: 200_000), into: &out) == true else {
            return []
        }
        return Array(out.readableBytesView)
    }()

    @Test("A compressed message may be whole, or come in fragments with a ping between, or bytewise")
    func interleaved() async throws {
        try await EngineEcho.serve(compression: PerMessageDeflate()) { server in
            try await Self.connect(server, offer: "permessage-deflate", answer: Self.agreed) { client in
                let payload = [0x34] + Array(String(repeating: "Hello ", count: 20).utf8)
                let data = try client.compressed(payload)
                let bytes =
                    AutobahnCase.frame(0x41, Array(data[..<5])) + AutobahnCase.ping("ping")
                    + AutobahnCase.frame(0x80, Array(data[5...]))
                for byte in bytes { try await client.raw.send(bytes: [byte]) }
                #expect(try await client.raw.frame() == AutobahnCase.pong("ping"))
                #expect(try await client.raw.frame() == .text(String(decoding: payload, as: UTF8.self)))
            }
        }
    }
}
