import EngineIO
import EngineIOServer
import NIOCore
import Testing

/// Sends each message back as it came.
final class EngineEcho: EngineApplication {
    private final class Receiver: EngineReceiver {
        private let connection: any EngineConnection

        init(_ connection: any EngineConnection) { self.connection = connection }

        func receive(text: ByteBuffer) { self.connection.send(EngineMessage(text: text)) }
        func receive(binary: ByteBuffer) { self.connection.send(EngineMessage(binary: binary)) }
        func closed(_ reason: EngineCloseReason) {}
    }

    func connected(_ connection: any EngineConnection) -> any EngineReceiver { Receiver(connection) }

    /// A server of it that takes messages up to `maxPayload` bytes.
    static func serve(
        maxPayload: Int = 100_000,
        compression: PerMessageDeflate? = nil,
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        try await TestServer.with(
            engine: {
                // No ping stands between a message and its echo, however slow the machine.
                $0.pingInterval = .minutes(10)
                $0.maxPayload = maxPayload
                $0.maxPendingOutboundBytes = 8 * maxPayload
                $0.perMessageDeflate = compression
            },
            application: { _ in EngineEcho() },
            { _ in },
            body
        )
    }
}

/// The cases of the Autobahn test suite for servers, sections 1 to 7 and 10.
@Suite(.timeLimit(.minutes(20))) struct AutobahnTests {
    static let sections: [(String, [AutobahnCase])] = [
        ("1, framing", AutobahnCase.framing), ("2, pings", AutobahnCase.pings),
        ("3, reserved bits", AutobahnCase.reservedBits), ("4, opcodes", AutobahnCase.opcodes),
        ("5, fragmentation", AutobahnCase.fragmentation), ("6, text in fragments", AutobahnCase.textInFragments),
        ("6, valid text", AutobahnCase.validText), ("6, invalid text", AutobahnCase.invalidText),
        ("7, closing", AutobahnCase.closing), ("headers", AutobahnCase.headers),
    ]

    @Test("A server answers each of Autobahn's cases as RFC 6455 says", arguments: Self.sections.indices)
    func cases(section: Int) async throws {
        try await EngineEcho.serve { server in
            for testCase in Self.sections[section].1 {
                try await Self.run(testCase, on: server, [testCase.bytes])
            }
        }
    }

    @Test("The answer is the same when each byte comes by itself", arguments: Self.sections.indices)
    func bytewise(section: Int) async throws {
        try await EngineEcho.serve { server in
            for testCase in Self.sections[section].1 where testCase.bytes.count < 400 {
                try await Self.run(testCase, on: server, testCase.bytes.map { [$0] })
            }
        }
    }

    @Test("The decoder says the same wherever a case's bytes are cut", arguments: Self.sections.indices)
    func everyCut(section: Int) {
        for testCase in Self.sections[section].1 {
            let bytes = testCase.bytes
            let whole = Self.decode([bytes])
            // Long frames differ from short ones in their headers only.
            for cut in 1..<min(bytes.count, 300) {
                let parts = Self.decode([Array(bytes[..<cut]), Array(bytes[cut...])])
                #expect(parts == whole, "case \(testCase.id), cut at \(cut)")
            }
        }
    }

    @Test("10.1.1: a message of 64 KiB in frames of 1,300 bytes comes back whole")
    func autoFragmentation() async throws {
        try await EngineEcho.serve { server in
            let text = [UInt8](repeating: 0x2A, count: 65_535)
            let testCase = AutobahnCase(
                "10.1.1",
                Self.fragments([0x34] + text, size: 1300),
                [
                    .text("4" + String(decoding: text, as: UTF8.self))
                ]
            )
            try await Self.run(testCase, on: server, testCase.frames)
        }
    }

    // MARK: Running a case

    /// - Parameter chunks: the case's bytes, each part written by itself.
    static func run(_ testCase: AutobahnCase, on server: TestServer, _ chunks: [[UInt8]]) async throws {
        try await RawClient.open(server.port) { client in
            // What the server has closed already cannot be written to; its answers are there nevertheless.
            do { for chunk in chunks { try await client.send(bytes: chunk) } } catch {}
            for answer in testCase.answers {
                let frame = try await client.frame()
                #expect(frame == answer, "case \(testCase.id)")
                if frame != answer { return }
            }
            if testCase.closeCode == nil { try await client.send(bytes: AutobahnCase.close(1000)) }
            #expect(try await client.frame() == .close(testCase.closeCode ?? 1000), "case \(testCase.id)")
            // And nothing else: the connection ends at once.
            #expect(try await client.frame() == .end, "case \(testCase.id)")
        }
    }

    static func fragments(_ payload: [UInt8], size: Int) -> [[UInt8]] {
        stride(from: 0, to: payload.count, by: size).map { start in
            let end = min(start + size, payload.count)
            let first: UInt8 = (start == 0 ? 0x01 : 0x00) | (end == payload.count ? 0x80 : 0x00)
            return AutobahnCase.frame(first, Array(payload[start..<end]))
        }
    }

    private struct Outcome: Equatable {
        var events: [WebSocketEvent] = []
        var failure: WebSocketFailure?
    }

    private static func decode(_ chunks: [[UInt8]]) -> Outcome {
        var decoder = WebSocketDecoder(maxMessageBytes: 100_000)
        var outcome = Outcome()
        for chunk in chunks {
            decoder.append(ByteBuffer(bytes: chunk))
            do {
                try decoder.decode { event in
                    outcome.events.append(event)
                    return true
                }
            } catch {
                outcome.failure = error
            }
        }
        return outcome
    }
}
