import EngineIO
import NIOCore
import SocketIO
import Testing

@Suite(.timeLimit(.minutes(20))) struct WebSocketProtocolTests {
    private static func echo(_ io: SocketIOServer) {
        io.of("/").on("echo", inline: { socket, event in socket.emit("back", arguments: event.arguments) })
        io.of("/").on("ask", inline: { _, event in event.ack.send(event.arguments) })
    }

    @Test("The handshake answers with the key's hash and the session's settings")
    func handshake() async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send(RawClient.upgradeRequest())
                #expect(try await client.head().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
                guard case .text(let open) = try await client.frame() else { throw ChannelError.eof }
                #expect(open.hasPrefix(#"0{"sid":""#))
                #expect(
                    open.hasSuffix(#"","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}"#)
                )
            }
        }
    }

    @Test(
        "A handshake that asks for something else is refused with the protocol's code",
        arguments: [
            ("/socket.io/?EIO=3&transport=websocket", 5), ("/socket.io/?EIO=4&transport=carrier-pigeon", 0),
            ("/socket.io/?EIO=4&transport=websocket&sid=none", 1),
        ]
    )
    func refusedHandshake(target: String, code: Int) async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send(RawClient.upgradeRequest(target))
                #expect(try await client.rest().contains(#"{"code":\#(code),"#))
            }
        }
    }

    @Test("The application may refuse a request, for its origin for example")
    func forbidden() async throws {
        try await TestServer.with(
            engine: {
                $0.allowRequest = {
                    $0.header("Origin") == "http://evil.example" ? EngineRefusal(message: "Origin not allowed") : nil
                }
            },
            Self.echo
        ) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send(
                    RawClient.upgradeRequest("/socket.io/?EIO=4&transport=websocket", "Origin: http://evil.example\r\n")
                )
                #expect(try await client.rest().hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            }
        }
    }

    @Test("A head of more than 100 fields or 16 KiB is refused with 431")
    func largeHead() async throws {
        try await TestServer.with(Self.echo) { server in
            let many = String(repeating: "X-Field: 1\r\n", count: 101)
            let long = "X-Field: " + String(repeating: "a", count: 17_000) + "\r\n"
            for fields in [many, long] {
                try await RawClient.connect(server.port) { client in
                    try await client.send(RawClient.upgradeRequest("/socket.io/?EIO=4&transport=websocket", fields))
                    #expect(try await client.rest().hasPrefix("HTTP/1.1 431 "))
                }
            }
        }
    }

    @Test("A request for another path is the router's")
    func otherPaths() async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                #expect(try await client.rest().hasPrefix("HTTP/1.1 404 "))
            }
        }
    }

    @Test("Events are echoed however their frames are cut, numbers and booleans as they were")
    func echo() async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                let frame = RawClient.masked(0x81, Array(#"42["echo",1,1.0,true,"é",{"a":null}]"#.utf8))
                for cut in 1..<frame.count {
                    try await client.send(bytes: Array(frame[..<cut]))
                    try await client.send(bytes: Array(frame[cut...]))
                    #expect(try await client.text() == #"42["back",1,1.0,true,"é",{"a":null}]"#)
                }
                for byte in frame { try await client.send(bytes: [byte]) }
                #expect(try await client.text() == #"42["back",1,1.0,true,"é",{"a":null}]"#)
            }
        }
    }

    @Test(
        "What a peer must not send is answered with the right close code",
        arguments: [
            ([0x81, 0x01, 0x32], 1002), (RawClient.masked(0xC1, [0x32]), 1002), (RawClient.masked(0x83, []), 1002),
            (RawClient.masked(0x81, [0xFF]), 1007), ([0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
            (RawClient.masked(0x88, [0x03, 0xE8]), 1000),
        ] as [([UInt8], Int)]
    )
    func closeCodes(bytes: [UInt8], code: Int) async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(bytes: bytes)
                #expect(try await client.frame() == .close(code))
            }
        }
    }

    @Test(
        "Packets that the protocol forbids end the connection",
        arguments: [
            "", "2", "9", "4", "42", "42[]", #"42["connect"]"#, "40", #"42/other,["a"]"#, "44{}",
            #"451-["a",{"_placeholder":true,"num":3}]"#,
        ]
    )
    func invalidPackets(text: String) async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: text)
                #expect(try await client.frame() == .close(1007))
            }
        }
    }

    @Test("A connection whose pings are answered goes on, and a WebSocket ping is answered too")
    func heartbeat() async throws {
        try await TestServer.with(
            engine: {
                $0.pingInterval = .milliseconds(50)
                $0.pingTimeout = .seconds(20)
            },
            Self.echo
        ) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(bytes: RawClient.masked(0x89, [1, 2]))
                var pings = 0
                var wasAnswered = false
                while pings < 3 || !wasAnswered {
                    switch try await client.frame() {
                    case .other(0x8A, [1, 2]): wasAnswered = true
                    case .text("2"):
                        pings += 1
                        try await client.send(text: "3")
                    case let other:
                        Issue.record("unexpected \(String(describing: other))")
                        return
                    }
                }
            }
        }
    }

    @Test("A connection that does not answer a ping is closed at the timeout")
    func missingPong() async throws {
        try await TestServer.with(
            engine: {
                $0.pingInterval = .milliseconds(50)
                $0.pingTimeout = .seconds(2)
            },
            Self.echo
        ) { server in
            try await RawClient.open(server.port) { client in
                let ping = try await client.frame()
                #expect(ping == .text("2"))
                let end = try await client.frame()
                #expect(end == .close(1000))
            }
        }
    }

    @Test("Who joins no namespace in time is disconnected")
    func connectTimeout() async throws {
        var settings = SocketIOConfiguration()
        settings.connectTimeout = .milliseconds(50)
        try await TestServer.with(socketIO: settings, Self.echo) { server in
            try await RawClient.open(server.port) { client in
                let frame = try await client.frame()
                #expect(frame == .close(1000))
            }
        }
    }

    @Test("Who sends more events than allowed is disconnected with 1008")
    func flooding() async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                for _ in 0..<110 { try await client.send(text: #"42["nothing"]"#) }
                #expect(try await client.frame() == .close(1008))
            }
        }
    }
}
