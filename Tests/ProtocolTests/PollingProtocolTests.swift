import EngineIO
import Foundation
import NIOCore
import Testing

/// Engine.IO over HTTP long-polling.
@Suite(.timeLimit(.minutes(20))) struct PollingProtocolTests {
    private static func with(
        engine change: (inout EngineConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        try await TestServer.with(engine: change, application: { _ in EchoApplication() }, { _ in }, body)
    }

    /// Sends requests in one piece over one connection, and reads as many answers.
    private static func pipelined(_ port: Int, _ requests: [UInt8]..., count: Int) async throws -> [HTTPAnswer] {
        try await RawClient.connect(port) { client in
            try await client.send(bytes: Array(requests.joined()))
            var answers: [HTTPAnswer] = []
            for _ in 0..<count { answers.append(try await client.answer()) }
            return answers
        }
    }

    // MARK: Handshake

    @Test("The handshake's answer is an open packet with sid, upgrades, pingInterval, pingTimeout and maxPayload")
    func handshake() async throws {
        try await Self.with { server in
            let (client, answer) = try await PollingClient.open(server.port)
            #expect(answer.status == 200)
            #expect(answer.field("Content-Type") == "text/plain; charset=UTF-8")
            #expect(answer.field("Set-Cookie") == nil)
            #expect(client.sid.utf8.count == 20)
            let rest = #","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}"#
            #expect(answer.text == #"0{"sid":"\#(client.sid)""# + rest)
            try await RawClient.connect(server.port) { client in
                try await client.send(RawClient.upgradeRequest())
                _ = try await client.head()
                #expect(try await client.text()?.contains(#""upgrades":[],"#) == true)
            }
        }
    }

    @Test("A cookie, if asked for, is set on both handshakes and carries the sid")
    func cookie() async throws {
        try await Self.with(engine: { $0.cookie = EngineCookie(name: "io") }) { server in
            let (client, answer) = try await PollingClient.open(server.port)
            #expect(answer.field("Set-Cookie") == "io=\(client.sid); Path=/; HttpOnly; SameSite=Lax")
            let post = try await client.post("4a")
            #expect(post.field("Set-Cookie") == nil)
            try await RawClient.connect(server.port) { client in
                try await client.send(RawClient.upgradeRequest())
                let cookie = HTTPAnswer(head: try await client.head()).field("Set-Cookie") ?? "none"
                let sid = cookie.dropFirst(3).prefix(20)
                #expect(try await client.text()?.contains(sid) == true)
            }
        }
    }

    @Test("allowRequest is asked for handshakes only, and its refusal is 403 with code 4")
    func refusal() async throws {
        try await Self.with(engine: {
            $0.cors = .any
            $0.allowRequest = { $0.header("X-Refuse") == nil ? nil : EngineRefusal(message: "No") }
        }) { server in
            let refused = try await PollingClient.open(server.port, fields: "X-Refuse: 1\r\n").answer
            #expect(refused.status == 403)
            #expect(refused.text == #"{"code":4,"message":"No"}"#)
            #expect(refused.field("Access-Control-Allow-Origin") == "*")
            let client = try await PollingClient.open(server.port).client
            #expect(try await client.post("4a", fields: "X-Refuse: 1\r\n").text == "ok")
            try await RawClient.connect(server.port) { client in
                try await client.send(
                    RawClient.upgradeRequest("/socket.io/?EIO=4&transport=websocket", "X-Refuse: 1\r\n")
                )
                let answer = try await client.answer()
                #expect(answer.status == 403)
                #expect(answer.field("Access-Control-Allow-Origin") == "*")
            }
        }
    }

    @Test("Sessions beyond the bound are asked to come back later, on both transports")
    func tooMany() async throws {
        try await Self.with(engine: { $0.maxSessions = 1 }) { server in
            let (client, _) = try await PollingClient.open(server.port)
            let refused = try await PollingClient.open(server.port).answer
            #expect(refused.status == 503)
            #expect((1...5).contains(Int(refused.field("Retry-After") ?? "") ?? 0))
            try await RawClient.connect(server.port) { client in
                try await client.send(RawClient.upgradeRequest())
                #expect(try await client.answer().status == 503)
            }
            _ = try await client.post("1")
            #expect(try await PollingClient.open(server.port).answer.status == 200)
        }
    }

    @Test("A preflight is answered with methods, fields and a time, and with credentials only for whom we know")
    func preflight() async throws {
        let rule = EngineCORS.origins(credentials: true) { origin, _ in origin == "http://good.example" }
        try await Self.with(engine: { $0.cors = rule }) { server in
            let fields = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-a, x-b\r\n"
            let good = try await PollingClient.request(
                server.port,
                "OPTIONS",
                PollingClient.target,
                fields: fields + "Origin: http://good.example\r\n"
            )
            #expect(good.status == 204)
            #expect(good.field("Access-Control-Allow-Origin") == "http://good.example")
            #expect(good.field("Access-Control-Allow-Credentials") == "true")
            #expect(good.field("Access-Control-Allow-Methods") == "GET, POST, OPTIONS")
            #expect(good.field("Access-Control-Allow-Headers") == "x-a, x-b")
            #expect(good.field("Access-Control-Max-Age") == "600")
            let bad = try await PollingClient.request(
                server.port,
                "OPTIONS",
                PollingClient.target,
                fields: fields + "Origin: http://bad.example\r\n"
            )
            #expect(bad.field("Vary") == "Origin")
            #expect(bad.field("Access-Control-Allow-Methods") == nil)
        }
    }

    // MARK: Payloads

    @Test("Packets of a payload are separated by the record separator; binary is base64")
    func payloads() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            let answer = try await client.post("4a\u{1e}bAQID\u{1e}4é€")
            #expect(answer.text == "ok")
            #expect(answer.field("Content-Type") == "text/html")
            #expect(try await client.poll().text == "4a\u{1e}bAQID\u{1e}4é€")
        }
    }

    @Test("A poll holds at most 16 packets; 1,000 messages come in order, none twice")
    func sixteen() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            _ = try await client.post("4burst 1000")
            var all: [String] = []
            while all.count < 1_000 {
                let messages = try await client.messages()
                #expect(!messages.isEmpty && messages.count <= 16)
                all += messages
                if messages.isEmpty { break }
            }
            #expect(all == (0..<1_000).map { "4\($0)" })
        }
    }

    @Test("Answers from 1,024 bytes on are compressed for whom takes gzip")
    func gzip() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            for (size, accepts, isCompressed) in [
                (1_023, "gzip, deflate", true), (1_022, "gzip", false), (5_000, "br, gzip;q=0.5", true),
                (5_000, "gzip;q=0", false), (5_000, "br", false),
            ] {
                _ = try await client.post("4" + String(repeating: "a", count: size))
                let answer = try await client.poll(fields: "Accept-Encoding: \(accepts)\r\n")
                #expect((answer.field("Content-Encoding") == "gzip") == isCompressed)
                #expect(isCompressed ? answer.body.starts(with: [0x1F, 0x8B]) : answer.body.count == size + 1)
            }
        }
    }

    @Test(
        "An invalid packet is answered with 400 and ends the session",
        arguments: ["abc", "", "4a\u{1e}", "bAQ", "2", "5", "0"]
    )
    func invalid(body: String) async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            let answer = try await client.post(body)
            #expect(answer.status == 400)
            #expect(answer.text == #"{"code":3,"message":"Bad request"}"#)
            #expect(try await client.poll().status == 400)
        }
    }

    @Test("Text that is not UTF-8 ends the session")
    func notText() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            #expect(try await client.post([0x34, 0xC0, 0x80]).status == 400)
            #expect(try await client.poll().status == 400)
        }
    }

    @Test("A body beyond maxPayload is answered with 413, by its length or by its bytes; the session goes on")
    func tooLarge() async throws {
        try await Self.with(engine: { $0.maxPayload = 1_000 }) { server in
            let (client, _) = try await PollingClient.open(server.port)
            let large = "4" + String(repeating: "a", count: 1_000)
            #expect(try await client.post(large).status == 413)
            try await RawClient.connect(server.port) { raw in
                // Only the head: the answer does not wait for the body.
                try await raw.send("POST \(client.target) HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
                let answer = try await raw.answer()
                #expect(answer.status == 413)
                #expect(answer.field("Connection") == "close")
            }
            try await RawClient.connect(server.port) { raw in
                try await raw.send("POST \(client.target) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                try await raw.send("3e9\r\n\(large)\r\n")
                #expect(try await raw.answer().status == 413)
            }
            #expect(try await client.post(String(large.dropLast())).text == "ok")
            #expect(try await client.poll().body.count == 1_000)
        }
    }

    @Test("A coded body is answered with 415")
    func coded() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            #expect(try await client.post("4a", fields: "Content-Encoding: gzip\r\n").status == 415)
            #expect(try await client.post("4a", fields: "Content-Encoding: identity\r\n").status == 200)
        }
    }

    @Test("Who waits for 100 Continue is told to go on")
    func expectation() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            try await RawClient.connect(server.port) { raw in
                let head =
                    "POST \(client.target) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
                try await raw.send(head)
                #expect(try await raw.head().hasPrefix("HTTP/1.1 100 "))
                try await raw.send("4a")
                #expect(try await raw.answer().text == "ok")
            }
        }
    }

    // MARK: Requests of a session

    @Test("A request that does not fit the session's transport is answered with code 3")
    func transports() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            let put = try await PollingClient.request(server.port, "PUT", client.target)
            #expect(put.status == 400)
            let plain = try await PollingClient.request(server.port, "GET", client.upgradeTarget)
            #expect(plain.text.hasPrefix(#"{"code":3,"#))
            try await RawClient.connect(server.port) { raw in
                try await raw.send(RawClient.upgradeRequest())
                _ = try await raw.head()
                let open = try await raw.text() ?? ""
                let other = PollingClient(port: server.port, sid: String(open.dropFirst(9).prefix(20)))
                let answers = [try await other.poll(), try await other.post("4a")]
                for answer in answers { #expect(answer.text == #"{"code":3,"message":"Bad request"}"#) }
                try await raw.send(text: "4still here")
                #expect(try await raw.text() == "4still here")
            }
        }
    }

    @Test("A second poll ends the first with a close packet, itself with 400, and the session")
    func secondPoll() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            async let first = client.poll()
            async let second = client.poll()
            let answers = try await [first, second].sorted { $0.status < $1.status }
            #expect(answers.map(\.status) == [200, 400])
            #expect(answers[0].text == "1")
            #expect(try await client.poll().text == #"{"code":1,"message":"Session ID unknown"}"#)
        }
    }

    @Test("A second POST is answered with 400 while the first is being read, and the session ends")
    func secondPost() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            try await RawClient.connect(server.port) { raw in
                let head =
                    "POST \(client.target) HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
                try await raw.send(head)
                // When this has come, the first POST is known.
                _ = try await raw.head()
                let second = try await RawClient.connect(server.port) { other in
                    try await other.send("POST \(client.target) HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
                    return try await other.answer()
                }
                #expect(second.status == 400)
                #expect(try await raw.answer().status == 400)
            }
            #expect(try await client.poll().status == 400)
        }
    }

    @Test("A poll that the client cuts ends the session", arguments: [false, true])
    func cutPoll(withPost: Bool) async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            try await RawClient.connect(server.port) { raw in
                let post = withPost ? "POST \(client.target) HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4a" : ""
                try await raw.send("GET \(client.target) HTTP/1.1\r\nHost: x\r\n\r\n" + post)
            }
            // Whichever of the two polls and the end is seen first: the session is over.
            let next = try await client.poll()
            #expect(next.status == 400 || next.text == "1")
            #expect(try await client.poll().text.hasPrefix(#"{"code":1,"#))
        }
    }

    @Test("A client's close packet releases the poll that waits with a noop")
    func clientCloses() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            let answers = try await Self.pipelined(
                server.port,
                PollingClient.text("GET", client.target),
                PollingClient.text("POST", client.target, body: [0x31]),
                count: 2
            )
            #expect(answers.map(\.text) == ["6", "ok"])
            #expect(try await client.poll().status == 400)
        }
    }

    @Test("A session that the server closes says so to the poll that waits, or to the next one behind its messages")
    func serverCloses() async throws {
        try await Self.with { server in
            let (waiting, _) = try await PollingClient.open(server.port)
            let answers = try await Self.pipelined(
                server.port,
                PollingClient.text("GET", waiting.target),
                PollingClient.text("POST", waiting.target, body: Array("4close".utf8)),
                count: 2
            )
            #expect(answers.map(\.text) == ["1", "ok"])
            #expect(try await waiting.poll().status == 400)

            let (later, _) = try await PollingClient.open(server.port)
            #expect(try await later.post("4a\u{1e}4close\u{1e}4b").text == "ok")
            #expect(try await later.poll().text == "4a")
            #expect(try await later.poll().text == "1")
            #expect(try await later.poll().status == 400)
        }
    }

    @Test("A session that fetches nothing is closed when too much waits for it")
    func slow() async throws {
        try await Self.with(engine: { $0.maxPendingOutboundBytes = 2_000 }) { server in
            let (client, _) = try await PollingClient.open(server.port)
            _ = try await client.post("4burst 100")
            #expect(try await client.poll().status == 400)
        }
    }

    // MARK: Heartbeat

    @Test("The server's pings come through polls, and a pong by POST keeps the session")
    func heartbeat() async throws {
        try await Self.with(engine: { $0.pingInterval = .milliseconds(50) }) { server in
            let (client, _) = try await PollingClient.open(server.port)
            for _ in 0..<5 {
                #expect(try await client.poll().text == "2")
                #expect(try await client.post("3").text == "ok")
            }
        }
    }

    @Test("A missing pong ends the session and the poll that waits; so does never polling")
    func pingTimeout() async throws {
        try await Self.with(engine: {
            $0.pingInterval = .milliseconds(100)
            $0.pingTimeout = .seconds(5)
        }) { server in
            let start = ContinuousClock.now
            let (silent, _) = try await PollingClient.open(server.port)
            let (client, _) = try await PollingClient.open(server.port)
            #expect(try await client.poll().text == "2")
            // A test that was itself kept waiting may come when the session is over.
            let isLate = ContinuousClock.now - start > .seconds(4)
            let last = try await client.poll()
            #expect(last.text == "1" || (isLate && last.status == 400))
            // Both were opened before the first ping of the other one.
            while try await silent.post("6").status == 200 {}
            #expect(try await silent.poll().text.hasPrefix(#"{"code":1,"#))
        }
    }

    // MARK: HTTP

    @Test("Answers keep the order of their requests, ours and others'; a POST behind a poll is not held up")
    func pipelining() async throws {
        try await Self.with { server in
            let (next, _) = try await PollingClient.open(server.port)
            let all = try await Self.pipelined(
                server.port,
                PollingClient.text("GET", "/x"),
                PollingClient.text("GET", next.target),
                PollingClient.text("POST", next.target, body: Array("4a".utf8)),
                PollingClient.text("POST", "/z", body: [1, 2, 3]),
                PollingClient.text("GET", "/socket.io/"),
                PollingClient.text("HEAD", "/socket.io/", fields: "Connection: close\r\n"),
                count: 5
            )
            #expect(all.map(\.status) == [404, 200, 200, 404, 400])
            #expect(all[1].text == "4a")
            #expect(all[2].text == "ok")
        }
    }

    @Test("Many requests in one piece are answered one by one")
    func flood() async throws {
        try await Self.with { server in
            let one = PollingClient.text("GET", "/socket.io/")
            let answers = try await Self.pipelined(
                server.port,
                Array(repeatElement(one, count: 500).joined()),
                count: 500
            )
            #expect(answers.allSatisfy { $0.status == 400 })
        }
    }

    @Test("A connection carries many requests, of whatever path, in pieces of any size")
    func keepAlive() async throws {
        try await Self.with { server in
            let (client, _) = try await PollingClient.open(server.port)
            try await RawClient.connect(server.port) { raw in
                for round in 0..<5 {
                    let post = PollingClient.text("POST", client.target, body: Array("4a\(round)".utf8))
                    for byte in post { try await raw.send(bytes: [byte]) }
                    #expect(try await raw.answer().text == "ok")
                    try await raw.send(bytes: PollingClient.text("GET", client.target))
                    #expect(try await raw.answer().text == "4a\(round)")
                    try await raw.send(bytes: PollingClient.text("GET", "/x"))
                    #expect(try await raw.answer().status == 404)
                }
            }
        }
    }

    @Test("HTTP/1.0 and HEAD are answered as they should be")
    func oldHTTP() async throws {
        try await Self.with { server in
            try await RawClient.connect(server.port) { raw in
                try await raw.send("GET \(PollingClient.target) HTTP/1.0\r\n\r\n")
                #expect(try await raw.rest().contains("\r\n\r\n0{"))
            }
            try await RawClient.connect(server.port) { raw in
                try await raw.send("HEAD \(PollingClient.target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                let answer = try await raw.rest()
                #expect(answer.hasPrefix("HTTP/1.1 400 "))
                #expect(answer.hasSuffix("\r\n\r\n"))
            }
        }
    }
}
