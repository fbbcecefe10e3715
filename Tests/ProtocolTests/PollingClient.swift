import EngineIO
import Foundation
import NIOCore

/// Sends back each message as it came; `close` ends the session, `burst N` sends N numbered messages.
struct EchoApplication: EngineApplication {
    func connected(_ connection: any EngineConnection) -> any EngineReceiver { Echo(connection: connection) }

    private final class Echo: EngineReceiver {
        private let connection: any EngineConnection

        init(connection: any EngineConnection) { self.connection = connection }

        func receive(text: ByteBuffer) {
            let words = String(buffer: text).split(separator: " ")
            switch words.first {
            case "close":
                self.connection.close(.forcedClose)
            case "burst":
                let count = words.count > 1 ? Int(words[1]) ?? 0 : 0
                for number in 0..<count {
                    self.connection.send(EngineMessage(text: ByteBuffer(string: "\(number)")))
                }
            default:
                self.connection.send(EngineMessage(text: text))
            }
        }

        func receive(binary: ByteBuffer) { self.connection.send(EngineMessage(binary: binary)) }
        func closed(_ reason: EngineCloseReason) {}
    }
}

/// A session that polls, each request over a connection of its own: they end up on any loop of the server.
struct PollingClient: Sendable {
    static let target = "/socket.io/?EIO=4&transport=polling"

    let port: Int
    let sid: String

    static func open(_ port: Int, fields: String = "") async throws -> (client: PollingClient, answer: HTTPAnswer) {
        let answer = try await Self.request(port, "GET", Self.target, fields: fields)
        let packet = try? JSONSerialization.jsonObject(with: Data(answer.body.dropFirst())) as? [String: Any]
        return (PollingClient(port: port, sid: packet?["sid"] as? String ?? ""), answer)
    }

    static func text(_ method: String, _ target: String, fields: String = "", body: [UInt8]? = nil) -> [UInt8] {
        let length = body.map { "Content-Length: \($0.count)\r\n" } ?? ""
        return Array("\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n\(length)\(fields)\r\n".utf8) + (body ?? [])
    }

    static func request(
        _ port: Int,
        _ method: String,
        _ target: String,
        fields: String = "",
        body: [UInt8]? = nil
    ) async throws -> HTTPAnswer {
        try await RawClient.connect(port) { client in
            try await client.send(bytes: Self.text(method, target, fields: fields, body: body))
            return try await client.answer()
        }
    }

    var target: String { "\(Self.target)&sid=\(self.sid)" }
    var upgradeTarget: String { "/socket.io/?EIO=4&transport=websocket&sid=\(self.sid)" }

    func poll(fields: String = "") async throws -> HTTPAnswer {
        try await Self.request(self.port, "GET", self.target, fields: fields)
    }

    func post(_ body: String, fields: String = "") async throws -> HTTPAnswer {
        try await self.post(Array(body.utf8), fields: fields)
    }

    func post(_ body: [UInt8], fields: String = "") async throws -> HTTPAnswer {
        try await Self.request(self.port, "POST", self.target, fields: fields, body: body)
    }

    /// Polls until a message comes; answers pings.
    func messages() async throws -> [String] {
        while true {
            let answer = try await self.poll()
            guard answer.status == 200 else { return [] }
            let packets = answer.text.split(separator: "\u{1e}").map(String.init)
            if packets.contains("2") { _ = try await self.post("3") }
            let messages = packets.filter { $0 != "2" && $0 != "6" }
            if !messages.isEmpty { return messages }
        }
    }

    /// A WebSocket for the session, its head read.
    func upgrade<R>(_ body: (RawClient) async throws -> R) async throws -> R {
        try await RawClient.connect(self.port) { client in
            try await client.send(RawClient.upgradeRequest(self.upgradeTarget))
            let head = try await client.head()
            guard head.hasPrefix("HTTP/1.1 101 ") else { throw ChannelError.eof }
            return try await body(client)
        }
    }

    /// A session that has been upgraded.
    func upgraded<R>(_ body: (RawClient) async throws -> R) async throws -> R {
        try await self.upgrade { client in
            try await client.send(text: "2probe")
            _ = try await client.frame()
            try await client.send(text: "5")
            return try await body(client)
        }
    }
}
