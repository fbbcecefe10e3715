import EngineIO
import NIOCore
import Testing

/// Section 9 of the Autobahn test suite: large messages, many messages, and what is beyond the bound.
@Suite(.timeLimit(.minutes(20))) struct AutobahnLimitsTests {
    private static let maxPayload = 1 << 20

    @Test("9.1 to 9.6: messages up to the bound come back, in frames and writes of any size")
    func sizes() async throws {
        try await EngineEcho.serve(maxPayload: Self.maxPayload) { server in
            for size in [1 << 16, 1 << 18, 1 << 20] {
                let payload = [0x34] + [UInt8](repeating: 0x2A, count: size - 1)
                let answer = RawClient.Frame.text(String(decoding: payload, as: UTF8.self))
                for frameSize in [size, 64 * 1024, 4096, 512] where frameSize <= size {
                    let frames = AutobahnTests.fragments(payload, size: frameSize)
                    let testCase = AutobahnCase("9, \(size) in frames of \(frameSize)", frames, [answer])
                    try await AutobahnTests.run(testCase, on: server, [testCase.bytes])
                }
                let testCase = AutobahnCase("9.2, \(size)", [AutobahnCase.frame(0x82, payload)], [.binary(payload)])
                let bytes = testCase.bytes
                let chops = stride(from: 0, to: bytes.count, by: 4099).map {
                    Array(bytes[$0..<min($0 + 4099, bytes.count)])
                }
                try await AutobahnTests.run(testCase, on: server, chops)
            }
        }
    }

    @Test("A message beyond the bound is answered with 1009, in one frame and in many")
    func tooLarge() async throws {
        try await EngineEcho.serve(maxPayload: 10_000) { server in
            let payload = [UInt8](repeating: 0x34, count: 10_001)
            for frames in [[AutobahnCase.frame(0x81, payload)], AutobahnTests.fragments(payload, size: 1000)] {
                let testCase = AutobahnCase("10,001 of 10,000 bytes", frames, closes: 1009)
                try await AutobahnTests.run(testCase, on: server, frames)
            }
            let fits = Array(payload.dropLast())
            let text = RawClient.Frame.text(String(decoding: fits, as: UTF8.self))
            for frames in [[AutobahnCase.frame(0x81, fits)], AutobahnTests.fragments(fits, size: 1000)] {
                try await AutobahnTests.run(AutobahnCase("10,000 bytes", frames, [text]), on: server, frames)
            }
        }
    }

    @Test("9.7 and 9.8: hundreds of messages of each size come back in order")
    func manyMessages() async throws {
        try await EngineEcho.serve { server in
            try await RawClient.open(server.port) { client in
                for size in [0, 16, 64, 256, 1024] {
                    for index in 0..<200 {
                        let text = "\(index) ".padding(size)
                        try await client.send(bytes: AutobahnCase.text(text))
                        let frame = try await client.frame()
                        #expect(frame == AutobahnCase.echo(text))
                    }
                }
            }
        }
    }

    @Test("Messages sent without waiting come back in order, too")
    func pipelined() async throws {
        try await EngineEcho.serve { server in
            try await RawClient.open(server.port) { client in
                let bytes = (0..<2000).flatMap { AutobahnCase.text("\($0)") + AutobahnCase.ping("\($0)") }
                try await client.send(bytes: bytes)
                for index in 0..<2000 {
                    let text = try await client.frame()
                    #expect(text == AutobahnCase.echo("\(index)"))
                    let pong = try await client.frame()
                    #expect(pong == AutobahnCase.pong("\(index)"))
                }
            }
        }
    }
}

extension String {
    fileprivate func padding(_ count: Int) -> String {
        self + String(repeating: "*", count: max(0, count - self.utf8.count))
    }
}
