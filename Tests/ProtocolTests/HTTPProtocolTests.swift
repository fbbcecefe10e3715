import EngineIO
import Foundation
import Testing

/// What a connection says before it is a WebSocket, or when it is none.
@Suite(.timeLimit(.minutes(20))) struct HTTPProtocolTests {
    private static let engine = "/socket.io/?EIO=4&transport="

    /// All that the server answers to `request` until it closes.
    private static func answer(
        _ request: String,
        engine: @escaping @Sendable (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> String {
        let (answers, answer) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await TestServer.with(engine: engine, { _ in }) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send(request)
                answer.yield(try await client.rest())
            }
        }
        var iterator = answers.makeAsyncIterator()
        return await iterator.next(isolation: #isolation) ?? ""
    }

    private static func get(_ target: String, _ fields: String = "", method: String = "GET") -> String {
        "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(fields)\r\n"
    }

    @Test(
        "A request for the endpoint that is no handshake gets the protocol's error",
        arguments: [
            ("GET", Self.engine + "abc", 0), ("GET", "/socket.io/", 0), ("GET", "/socket.io", 0),
            ("POST", "/socket.io/?EIO=4&sid=none", 0), ("GET", Self.engine + "polling&sid=none", 1),
            ("GET", Self.engine + "websocket&sid=none", 1), ("POST", Self.engine + "polling&sid=none", 1),
            ("POST", Self.engine + "websocket", 2), ("PUT", Self.engine + "polling", 2),
            ("GET", Self.engine + "websocket", 3), ("GET", Self.engine + "polling&j=0", 3),
            ("GET", "/socket.io/?EIO=3&transport=polling", 5), ("GET", "/socket.io/?transport=polling", 5),
        ]
    )
    func endpointOverHTTP(method: String, target: String, code: Int) async throws {
        let answer = try await Self.answer(Self.get(target, method: method))
        #expect(answer.hasPrefix("HTTP/1.1 400 "))
        #expect(answer.contains(#"{"code":\#(code),"message":""#))
    }

    @Test("An allowed foreign origin may read the error, another one may not")
    func crossOrigin() async throws {
        let rule = EngineCORS.origins(credentials: true) { origin, _ in origin == "http://good.example" }
        let good = try await Self.answer(
            Self.get(Self.engine + "none", "Origin: http://good.example\r\n"),
            engine: { $0.cors = rule }
        ).lowercased()
        #expect(good.contains("access-control-allow-origin: http://good.example\r\n"))
        #expect(good.contains("access-control-allow-credentials: true\r\n"))
        let bad = try await Self.answer(
            Self.get(Self.engine + "none", "Origin: http://bad.example\r\n"),
            engine: { $0.cors = rule }
        ).lowercased()
        #expect(!bad.contains("access-control"))
        #expect(bad.contains("vary: origin\r\n"))
    }

    @Test(
        "A request whose end is open to doubt is refused",
        arguments: [
            "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "Content-Length: 5, 6\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "Content-Length: -1\r\n\r\n",
            "Content-Length: 99999999999999999999\r\n\r\n", "X-Fold: a\r\n b\r\n\r\n", "X Space: a\r\n\r\n",
            "X-Space : a\r\n\r\n", "X-Nul: a\0b\r\n\r\n",
        ]
    )
    func smuggling(rest: String) async throws {
        let answer = try await Self.answer("POST /x HTTP/1.1\r\nHost: localhost\r\n" + rest)
        #expect(answer.hasPrefix("HTTP/1.1 400 "))
        #expect(!answer.dropFirst(1).contains("HTTP/1.1 "))
        let handshake = RawClient.upgradeRequest().dropLast(1)  // CR LF is one character.
        let refused = try await Self.answer(handshake + rest)
        #expect(refused.hasPrefix("HTTP/1.1 400 "))
    }

    @Test("A large head is refused with 431 on any path, also as a second request")
    func largeHead() async throws {
        let many = String(repeating: "X-Field: 1\r\n", count: 101)
        let long = "X-Field: " + String(repeating: "a", count: 17_000) + "\r\n"
        for fields in [many, long] {
            #expect(try await Self.answer(Self.get("/x", fields)).hasPrefix("HTTP/1.1 431 "))
            let second = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.get("/x", fields)
            #expect(try await Self.answer(second).contains("HTTP/1.1 431 "))
        }
    }

    @Test(
        "A handshake that is incomplete is refused",
        arguments: [
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "400"),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Key: short\r\n", "400"),
            ("Sec-WebSocket-Version: 13\r\n", "", "400"),
            ("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Version: 12\r\n", "426"),
            ("Host: localhost\r\n", "", "400"), ("HTTP/1.1", "HTTP/1.0", "400"),
        ]
    )
    func incompleteHandshake(part: String, replacement: String, status: String) async throws {
        let request = RawClient.upgradeRequest()
        guard let range = request.range(of: part) else { return #expect(Bool(false), "not in the request") }
        let answer = try await Self.answer(request.replacingCharacters(in: range, with: replacement))
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        if status == "426" { #expect(answer.contains("Sec-WebSocket-Version: 13\r\n")) }
    }

    @Test("A handshake is understood in lower case, among other tokens, and byte by byte")
    func unusualHandshakes() async throws {
        try await TestServer.with({ _ in }) { server in
            let usual = RawClient.upgradeRequest()
            let firefox = usual.replacing("Connection: Upgrade", with: "connection: keep-alive, Upgrade")
                .replacing("Upgrade: websocket", with: "upgrade: WebSocket")
                .replacing("Sec-WebSocket", with: "sec-websocket")
            try await RawClient.connect(server.port) { client in
                try await client.send(firefox)
                #expect(try await client.head().hasPrefix("HTTP/1.1 101 "))
            }
            try await RawClient.connect(server.port) { client in
                for byte in usual.utf8 { try await client.send(bytes: [byte]) }
                #expect(try await client.head().hasPrefix("HTTP/1.1 101 "))
            }
        }
    }

    @Test("Frames that come in one piece with the handshake are not lost")
    func framesWithHandshake() async throws {
        try await TestServer.with({ _ in }) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send(
                    bytes: Array(RawClient.upgradeRequest().utf8) + RawClient.masked(0x81, [0x34, 0x30])
                )
                _ = try await client.head()
                _ = try await client.frame()
                let joined = try await client.frame()
                #expect("\(joined)".hasPrefix(#"text("40{"#))
            }
        }
    }

    @Test("Requests one after another, and in one piece, are all answered")
    func keepAlive() async throws {
        let plain = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
        let polling = "GET \(Self.engine)polling HTTP/1.1\r\nHost: localhost\r\n\r\n"
        let answer = try await Self.answer(plain + plain + polling + Self.get("/x"))
        let statuses = answer.split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
        #expect(statuses == ["404", "404", "200", "404"])
        try await TestServer.with({ _ in }) { server in
            try await RawClient.connect(server.port) { client in
                for _ in 0..<3 {
                    for byte in plain.utf8 { try await client.send(bytes: [byte]) }
                    #expect(try await client.head().hasPrefix("HTTP/1.1 404 "))
                }
            }
        }
    }

    @Test("HTTP/1.0 is answered")
    func oldHTTP() async throws {
        try await TestServer.with({ _ in }) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send("GET /x HTTP/1.0\r\n\r\n")
                #expect(try await client.head().contains(" 404 "))
            }
        }
    }
}
