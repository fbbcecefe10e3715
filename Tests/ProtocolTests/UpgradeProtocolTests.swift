import EngineIO
import NIOCore
import Testing

/// Engine.IO's upgrade from long-polling to WebSocket.
@Suite(.timeLimit(.minutes(20))) struct UpgradeProtocolTests {
    private static func with(
        engine change: (inout EngineConfiguration) -> Void = { $0.upgradeTimeout = .seconds(60) },
        rounds: Int = 4,
        _ body: @escaping @Sendable (TestServer, PollingClient) async throws -> Void
    ) async throws {
        try await TestServer.with(engine: change, application: { _ in EchoApplication() }, { _ in }) { server in
            // Connections go to the loops in turn: with several sessions every pair of loops is met.
            for _ in 0..<rounds {
                let (client, _) = try await PollingClient.open(server.port)
                try await body(server, client)
            }
        }
    }

    @Test("A probe is answered, every poll during the upgrade is released, and the upgrade packet completes it")
    func upgrade() async throws {
        try await Self.with { _, client in
            try await client.upgrade { socket in
                async let waiting = client.poll()
                try await socket.send(text: "2probe")
                #expect(try await socket.frame() == .text("3probe"))
                #expect(try await waiting.text == "6")
                for _ in 0..<3 { #expect(try await client.poll().text == "6") }
                try await socket.send(text: "5")
                try await socket.send(text: "4hello")
                #expect(try await socket.text() == "4hello")
                try await socket.send(binary: [1, 2, 3])
                #expect(try await socket.frame() == .binary([1, 2, 3]))
                for answer in [try await client.poll(), try await client.post("4a")] {
                    #expect(answer.status == 400)
                    #expect(answer.text == #"{"code":3,"message":"Bad request"}"#)
                }
            }
            #expect(try await client.poll().status == 400)
        }
    }

    @Test("What no poll has fetched comes over the WebSocket, in order and once: 1,000 messages, text and binary")
    func queued() async throws {
        try await Self.with { _, client in
            #expect(try await client.post("4burst 1000\u{1e}bAQID\u{1e}4last").text == "ok")
            var all = try await client.messages()
            try await client.upgrade { socket in
                try await socket.send(text: "2probe")
                #expect(try await socket.frame() == .text("3probe"))
                // A poll during the upgrade still fetches.
                all += try await client.messages()
                try await socket.send(text: "5")
                while all.count < 1_000, let text = try await socket.text() { all.append(text) }
                #expect(try await socket.frame() == .binary([1, 2, 3]))
                #expect(try await socket.frame() == .text("4last"))
            }
            #expect(all == (0..<1_000).map { "4\($0)" })
        }
    }

    @Test("Messages that are sent while the transport changes keep their order, those of the client too")
    func burst() async throws {
        try await Self.with { _, client in
            try await client.upgrade { socket in
                try await socket.send(text: "2probe")
                #expect(try await socket.frame() == .text("3probe"))
                for number in 0..<20 { _ = try await client.post("4\(number)") }
                try await socket.send(text: "5")
                for number in 20..<1_000 { try await socket.send(text: "4\(number)") }
                for number in 0..<1_000 {
                    let text = try await socket.text()
                    #expect(text == "4\(number)")
                    if text == nil { break }
                }
            }
        }
    }

    @Test("A POST that is being read when the upgrade completes is taken, and its answer is ok")
    func postOnTheWay() async throws {
        try await Self.with { _, client in
            try await RawClient.connect(client.port) { post in
                let head =
                    "POST \(client.target) HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
                try await post.send(head)
                _ = try await post.head()
                try await client.upgraded { socket in
                    try await socket.send(text: "4first")
                    #expect(try await socket.text() == "4first")
                    try await post.send("4late")
                    #expect(try await post.answer().text == "ok")
                    #expect(try await socket.text() == "4late")
                }
            }
        }
    }

    @Test("A poll that waits when the upgrade packet comes is released")
    func pollOnTheWay() async throws {
        try await Self.with { _, client in
            try await client.upgrade { socket in
                async let waiting = client.poll()
                try await socket.send(text: "5")
                try await socket.send(text: "4a")
                #expect(try await socket.text() == "4a")
                // Released by the upgrade, or come after it.
                let answer = try await waiting
                #expect(answer.text == "6" || answer.status == 400)
            }
        }
    }

    @Test(
        "A WebSocket that closes, or says something else, leaves the session on polling",
        arguments: [[], ["2probe"], ["2"], ["4a"], ["2other"], ["3"], ["abc"], ["2probe", "4a"]]
    )
    func failedProbe(packets: [String]) async throws {
        try await Self.with { _, client in
            try await client.upgrade { socket in
                for packet in packets { try await socket.send(text: packet) }
                guard packets.last != "2probe", !packets.isEmpty else { return }
                while try await socket.text() != nil {}
            }
            #expect(try await client.post("4hello").text == "ok")
            #expect(try await client.messages() == ["4hello"])
            // And it may try again, once the end of the first attempt was seen.
            var answer: String?
            while answer == nil {
                answer = try await client.upgraded { socket in
                    try await socket.send(text: "4again")
                    return try await socket.text()
                }
            }
            #expect(answer == "4again")
        }
    }

    @Test("An upgrade that takes too long closes the WebSocket; the session goes on by polling")
    func timeout() async throws {
        try await Self.with(engine: { $0.upgradeTimeout = .milliseconds(500) }) { _, client in
            try await client.upgrade { socket in
                try? await socket.send(text: "2probe")
                // On a slow machine the time may be over before the probe is seen.
                var last = try await socket.frame()
                if last == .text("3probe") { last = try await socket.frame() }
                #expect(last == .close(1000))
                async let waiting = client.poll()
                _ = try await client.post("4hello")
                #expect(try await waiting.text == "4hello")
            }
        }
    }

    @Test("A second WebSocket for the same sid is closed, during the upgrade and after it, without harm to the first")
    func second() async throws {
        try await Self.with { _, client in
            try await client.upgrade { socket in
                try await socket.send(text: "2probe")
                #expect(try await socket.text() == "3probe")
                #expect(try await client.upgrade { try await $0.frame() } == .close(1000))
                try await socket.send(text: "5")
                try await socket.send(text: "4a")
                #expect(try await socket.text() == "4a")
                #expect(try await client.upgrade { try await $0.frame() } == .close(1000))
                try await socket.send(text: "4b")
                #expect(try await socket.text() == "4b")
            }
        }
    }

    @Test("A WebSocket for a session that is unknown is refused with code 1")
    func unknown() async throws {
        try await Self.with { _, client in
            try await RawClient.connect(client.port) { raw in
                let target = "/socket.io/?EIO=4&transport=websocket&sid=none"
                try await raw.send(RawClient.upgradeRequest(target))
                #expect(try await raw.answer().text == #"{"code":1,"message":"Session ID unknown"}"#)
            }
        }
    }

    @Test("A session that ends while it is being upgraded closes the WebSocket")
    func endDuringUpgrade() async throws {
        try await Self.with { _, client in
            try await client.upgrade { socket in
                try await socket.send(text: "2probe")
                #expect(try await socket.text() == "3probe")
                _ = try await client.post("1")
                #expect(try await socket.frame() == .close(1000))
            }
        }
    }

    @Test("A connection that has carried requests may become a WebSocket, of its session or of a new one")
    func keepAlive() async throws {
        try await Self.with { _, client in
            for target in [client.upgradeTarget, "/socket.io/?EIO=4&transport=websocket"] {
                try await RawClient.connect(client.port) { raw in
                    try await raw.send(bytes: PollingClient.text("GET", "/x"))
                    #expect(try await raw.answer().status == 404)
                    try await raw.send(bytes: PollingClient.text("OPTIONS", PollingClient.target))
                    #expect(try await raw.answer().status == 204)
                    try await raw.send(RawClient.upgradeRequest(target))
                    #expect(try await raw.head().hasPrefix("HTTP/1.1 101 "))
                    if target == client.upgradeTarget {
                        try await raw.send(text: "2probe")
                        #expect(try await raw.frame() == .text("3probe"))
                        try await raw.send(text: "5")
                    } else {
                        #expect(try await raw.text()?.hasPrefix("0{") == true)
                    }
                    try await raw.send(text: "4hello")
                    #expect(try await raw.text() == "4hello")
                    try await raw.send(bytes: RawClient.masked(0x88, [0x03, 0xE8]))
                    #expect(try await raw.frame() == .close(1000))
                    #expect(try await raw.rest() == "")
                }
            }
        }
    }

    @Test("The heartbeat goes on across the upgrade, and its timeout holds on the WebSocket")
    func heartbeat() async throws {
        try await Self.with(
            engine: {
                $0.pingInterval = .milliseconds(100)
                $0.pingTimeout = .seconds(10)
                $0.upgradeTimeout = .seconds(60)
            },
            rounds: 1
        ) { _, client in
            try await client.upgraded { socket in
                for _ in 0..<3 {
                    #expect(try await socket.frame() == .text("2"))
                    try await socket.send(text: "3")
                }
                #expect(try await socket.frame() == .text("2"))
                #expect(try await socket.frame() == .close(1000))
            }
        }
    }

    @Test(
        "A message as large as maxPayload crosses the WebSocket of an upgraded session, a larger one ends it with 1009"
    )
    func large() async throws {
        try await Self.with(engine: { $0.maxPayload = 1_000 }) { _, client in
            try await client.upgraded { socket in
                let text = "4" + String(repeating: "a", count: 999)
                try await socket.send(text: text)
                #expect(try await socket.text() == text)
                try await socket.send(text: text + "a")
                #expect(try await socket.frame() == .close(1009))
            }
            #expect(try await client.poll().status == 400)
        }
    }

    @Test("Thousands of messages to a client on another loop arrive in order, as fast as it reads")
    func throughput() async throws {
        try await Self.with(engine: { $0.maxPendingOutboundBytes = 4 * 1024 * 1024 }) { _, client in
            try await client.upgraded { socket in
                try await socket.send(text: "4burst 20000")
                for number in 0..<20_000 {
                    let text = try await socket.text()
                    guard text == "4\(number)" else { return #expect(text == "4\(number)") }
                }
            }
        }
    }
}
