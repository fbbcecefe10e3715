import Foundation
import NIOCore
import Testing

/// A client that may come back: remembers what socket.io-client remembers.
final class RecoveryClient {
    struct Event: Equatable {
        var text: String
        /// The last argument, if it is a text.
        var offset: String?
    }

    private struct Answer: Decodable {
        var sid: String
        var pid: String?
    }

    struct Memory: Sendable {
        var sid = ""
        var pid: String?
        var offset: String?

        /// The payload of CONNECT.
        var payload: String {
            guard let pid else { return "" }
            return offset.map { #"{"pid":"\#(pid)","offset":"\#($0)"}"# } ?? #"{"pid":"\#(pid)"}"#
        }
    }

    let raw: RawClient
    private(set) var memory: Memory
    /// Packets that came while something else was awaited.
    private var early: [String] = []

    private init(_ raw: RawClient, _ memory: Memory) {
        self.raw = raw
        self.memory = memory
    }

    /// A client that has got its answer to CONNECT; leaving `body` cuts its connection.
    @discardableResult
    static func connect(
        _ port: Int,
        _ memory: Memory = .init(),
        payload: String? = nil,
        namespace: String = "",
        _ body: (RecoveryClient) async throws -> Void
    ) async throws -> Memory {
        try await RawClient.open(port) { raw in
            let client = RecoveryClient(raw, memory)
            try await raw.send(text: "40\(namespace)\(payload ?? memory.payload)")
            // What was missed comes first.
            var text = try await client.incoming()
            while !text.hasPrefix("40") {
                client.early.append(text)
                text = try await client.incoming()
            }
            let json = text.drop { $0 != "{" }
            let answer = try JSONDecoder().decode(Answer.self, from: Data(json.utf8))
            client.memory.sid = answer.sid
            client.memory.pid = answer.pid
            try await body(client)
            return client.memory
        }
    }

    /// The next packet as it came.
    func packet() async throws -> String {
        self.early.isEmpty ? try await self.incoming() : self.early.removeFirst()
    }

    private func incoming() async throws -> String {
        guard let text = try await self.raw.answering() else { throw ChannelError.eof }
        return text
    }

    /// The next event; its offset is remembered and cut off.
    func event() async throws -> String { self.take(Self.split(try await self.packet())) }

    /// The events that come before the server closes the connection.
    func untilClosed() async throws -> [String] {
        var texts: [String] = []
        while let text = try await self.raw.answering() { texts.append(Self.split(text).text) }
        return texts
    }

    func expect(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let event = try await self.event()
        #expect(event == text, sourceLocation: sourceLocation)
    }

    func expect(
        _ event: String,
        isAnswered answer: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let arguments = try await self.call(event)
        #expect(arguments == answer, sourceLocation: sourceLocation)
    }

    /// Events up to the one with this text, that one included.
    func events(through last: String) async throws -> [String] {
        var texts: [String] = []
        while texts.last != last { texts.append(try await self.event()) }
        return texts
    }

    private func take(_ event: Event) -> String {
        if let offset = event.offset { self.memory.offset = offset }
        return event.text
    }

    private static func split(_ text: String) -> Event {
        guard text.hasSuffix(#""]"#), let comma = text.lastIndex(of: ",") else { return Event(text: text) }
        let offset = text[text.index(after: comma)...].dropFirst().dropLast(2)
        // Ours begin with the epoch and a dot.
        guard offset.contains(".") else { return Event(text: text) }
        return Event(text: text[..<comma] + "]", offset: String(offset))
    }

    private var nextID = 0

    /// Sends an event and waits for its acknowledgement, the arguments of which it returns.
    @discardableResult
    func call(_ event: String) async throws -> String {
        self.nextID += 1
        let id = self.nextID
        try await self.raw.send(text: "42\(id)\(event)")
        while true {
            let text = try await self.incoming()
            if text.hasPrefix("43\(id)[") { return String(text.dropFirst("43\(id)".count)) }
            self.early.append(text)
        }
    }

    func send(_ event: String) async throws { try await self.raw.send(text: "42\(event)") }
}

extension RawClient {
    /// The next text but heartbeats, which are answered.
    func answering() async throws -> String? {
        while true {
            switch try await self.frame() {
            case .text("2"): try await self.send(text: "3")
            case .text(let text): return text
            case .binary: continue
            default: return nil
            }
        }
    }
}
