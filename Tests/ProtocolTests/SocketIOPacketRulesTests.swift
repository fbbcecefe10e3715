import NIOCore
import SocketIO
import Synchronization
import Testing

/// What ends a connection, and what does not. Sources: Socket.IO protocol 5; design.md, section 8.
@Suite(.timeLimit(.minutes(20))) struct SocketIOPacketRulesTests {
    private static func echo(_ io: SocketIOServer) {
        io.of("/other").on("message", inline: { socket, event in socket.emit("back", arguments: event.arguments) })
        io.of("/").on("message", inline: { socket, event in socket.emit("back", arguments: event.arguments) })
        io.of("/").on(
            "ask",
            inline: { socket, _ in
                socket.emit("question", arguments: [], timeout: nil) { answer in
                    if case .success(let answer) = answer { socket.emit("answer", arguments: answer.arguments) }
                }
            }
        )
    }

    enum Sent: CustomTestStringConvertible, Sendable {
        case text(String)
        case binary
        case texts([String])

        var testDescription: String {
            switch self {
            case .text(let text): text
            case .binary: "binary"
            case .texts(let texts): texts.joined(separator: " | ")
            }
        }
    }

    private static let placeholder = #"{"_placeholder":true,"num":0}"#

    @Test(
        "A packet that the protocol forbids ends the connection, in all its namespaces",
        arguments: [
            .text("40"), .text("40/,"), .text(#"40{"again":true}"#),  // A second CONNECT to the same namespace.
            .text(#"42/other,["message"]"#), .text("41/other,"), .text(#"43/other,1[]"#),  // Not joined.
            .text("4"), .text("47"), .text("4x"), .text("4abc"), .text("42"), .text("42{}"), .text("42[]"),
            .text(#"42["a""#), .text(#"42["a"]]"#), .text("42[null]"), .text("42[{}]"), .text("42[[]]"),
            .text("42abc"), .text("41{}"), .text("40/other,[]"), .text("40/other,null"),
            .text(#"40/other,"auth""#), .text(#"44{"message":"no"}"#), .text(#"44/other,{"message":"no"}"#),
            .text(#"42["connect"]"#), .text(#"42["connect_error"]"#), .text(#"42["disconnect"]"#),
            .text(#"42["disconnecting"]"#), .text(#"42["newListener"]"#), .text(#"42["removeListener"]"#),
            .text(#"42["\u0063onnect"]"#),
            .text(#"451-["a",{"_placeholder":true,"num":1}]"#), .text(#"451-["a",{"_placeholder":true,"num":-1}]"#),
            .text(#"451-["a",{"_placeholder":true,"num":"0"}]"#), .text(#"451-["a",{"_placeholder":true}]"#),
            .text(#"4511-["a"]"#), .text(#"459999999999-["a"]"#), .text(#"45["a"]"#), .text(#"45-["a"]"#),
            .text(#"45x-["a"]"#), .text(#"45-1-["a"]"#), .text("43"), .text("43{}"), .text(#"46["a"]"#),
            .text(#"42["a",\#(String(repeating: "[", count: 16))\#(String(repeating: "]", count: 16))]"#),
            .text("40/" + String(repeating: "n", count: 512)),
            .texts([#"451-["a",\#(placeholder)]"#, #"42["text where an attachment is due"]"#]),
            .binary,  // An attachment that nothing announced.
        ] as [Sent]
    )
    func forbidden(sent: Sent) async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                switch sent {
                case .text(let text): try await client.send(text: text)
                case .texts(let texts): for text in texts { try await client.send(text: text) }
                case .binary: try await client.send(binary: [1, 2, 3])
                }
                try await client.send(text: #"42["message","too late"]"#)
                var frame = try await client.frame()
                while frame == .text("2") { frame = try await client.frame() }
                #expect(frame == .close(1007))
            }
        }
    }

    @Test(
        "What is unusual but allowed leaves the connection as it is",
        arguments: [
            (#"42["nobody listens"]"#, nil), (#"42[7,"a number as a name"]"#, nil), ("43999[1]", nil), ("43[1]", nil),
            (#"42["message",1,1.0,true,null,"\u00e9"]"#, #"42["back",1,1.0,true,null,"\u00e9"]"#),
            (#"42["message",1e3,-0,12345678901234567890]"#, #"42["back",1e3,-0,12345678901234567890]"#),
            (#"42["message",{"_placeholder":true,"num":0}]"#, #"42["back",{"_placeholder":true,"num":0}]"#),
            (#"42["message" , {"a":[ ]} ]"#, #"42["back",{"a":[ ]}]"#),
            (#"450-["message"]"#, #"42["back"]"#),
            ("41/", nil),
        ] as [(String, String?)]
    )
    func allowed(text: String, answer: String?) async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: text)
                try await client.send(text: "40/other")
                if let answer { #expect(try await client.text() == answer) }
                #expect(try await client.text()?.hasPrefix(#"40/other,{"sid":""#) == true)
            }
        }
    }

    @Test("An event before the answer to CONNECT ends the connection, and so does leaving what is not joined yet")
    func early() async throws {
        for early in [#"42["message"]"#, "41", "40"] {
            let gate = Gate()
            try await TestServer.with({ io in io.use { _ in await gate.wait() } }) { server in
                try await RawClient.open(server.port) { client in
                    try await client.send(text: "40")
                    try await client.send(text: early)
                    #expect(try await client.frame() == .close(1007))
                    gate.open()
                }
            }
        }
    }

    @Test("An event or an attachment before CONNECT ends the connection")
    func unjoined() async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: #"42["message"]"#)
                #expect(try await client.frame() == .close(1007))
            }
            try await RawClient.open(server.port) { client in
                try await client.send(binary: [1])
                #expect(try await client.frame() == .close(1007))
            }
        }
    }

    @Test("After CONNECT_ERROR the connection is open for other namespaces, and for another attempt")
    func refusedThenJoined() async throws {
        try await TestServer.with({ io in
            Self.echo(io)
            io.of("/other").use(inline: { socket in
                guard socket.handshake.auth.string != "{}" else { throw ConnectError(message: "Who are you?") }
            })
        }) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: "40/nowhere,")
                #expect(try await client.text() == #"44/nowhere,{"message":"Invalid namespace"}"#)
                try await client.send(text: "40/other")
                #expect(try await client.text() == #"44/other,{"message":"Who are you?"}"#)
                try await client.send(text: #"40/other,{"name":"me"}"#)
                #expect(try await client.text()?.hasPrefix(#"40/other,{"sid":""#) == true)
                try await client.send(text: "40")
                #expect(try await client.text()?.hasPrefix(#"40{"sid":""#) == true)
            }
        }
    }

    @Test("A connection that joins no namespace in time is closed, a refusal or not; one that joined is not")
    func connectTimeout() async throws {
        var settings = SocketIOConfiguration()
        settings.connectTimeout = .seconds(6)
        try await TestServer.with(socketIO: settings, Self.echo) { server in
            try await RawClient.joined(server.port) { joined, _ in
                try await RawClient.open(server.port) { silent in
                    try await RawClient.open(server.port) { refused in
                        try await refused.send(text: "40/nowhere")
                        #expect(try await refused.text() == #"44/nowhere,{"message":"Invalid namespace"}"#)
                        #expect(try await refused.frame() == .close(1000))
                        #expect(try await silent.frame() == .close(1000))
                    }
                }
                try await joined.send(text: #"42["message",1]"#)
                #expect(try await joined.text() == #"42["back",1]"#)
            }
        }
    }

    @Test("An attachment that never comes ends the connection; what was complete before does not count")
    func missingAttachment() async throws {
        var settings = SocketIOConfiguration()
        settings.attachmentTimeout = .seconds(4)
        let (reasons, reason) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(2))
        try await TestServer.with(
            socketIO: settings,
            { io in
                Self.echo(io)
                io.onDisconnect(inline: { _, why in reason.yield(why.rawValue) })
            }
        ) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"451-["message",\#(Self.placeholder)]"#)
                try await client.send(binary: [1])
                #expect(try await client.text() == #"451-["back",\#(Self.placeholder)]"#)
                #expect(try await client.frame() == .binary([1]))
                try await client.send(text: #"452-["message",\#(Self.placeholder)]"#)
                try await client.send(binary: [1])
                #expect(try await client.frame() == .close(1007))
                var iterator = reasons.makeAsyncIterator()
                #expect(await iterator.next(isolation: #isolation) == "parse error")
            }
        }
    }

    @Test("Ten attachments are taken, in events and in acknowledgements, and come back in their places")
    func tenAttachments() async throws {
        try await TestServer.with(Self.echo) { server in
            try await RawClient.joined(server.port) { client, _ in
                let list = (0..<10).map { #"{"_placeholder":true,"num":\#($0)}"# }.joined(separator: ",")
                try await client.send(text: #"42["ask"]"#)
                #expect(try await client.text() == #"420["question"]"#)
                for (sent, back) in [(#"4510-["message",[\#(list)]]"#, "back"), (#"4610-0[[\#(list)]]"#, "answer")] {
                    try await client.send(text: sent)
                    for byte in 0..<10 as Range<UInt8> { try await client.send(binary: [byte]) }
                    #expect(try await client.text() == #"4510-["\#(back)",[\#(list)]]"#)
                    for byte in 0..<10 as Range<UInt8> { #expect(try await client.frame() == .binary([byte])) }
                }
            }
        }
    }

    @Test(
        "The CONNECT payload is what the application finds as auth; a query behind a namespace is not part of its name"
    )
    func auth() async throws {
        try await TestServer.with({ io in
            for name in ["/", "/other"] {
                io.of(name).onConnection(inline: { socket in socket.emit("auth", socket.handshake.auth) })
            }
        }) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: #"40{"token":"a,b","n":[1,{"x":null}]}"#)
                #expect(try await client.text()?.hasPrefix(#"40{"sid":""#) == true)
                #expect(try await client.text() == #"42["auth",{"token":"a,b","n":[1,{"x":null}]}]"#)
                try await client.send(text: "40/other?token=x")
                #expect(try await client.text()?.hasPrefix(#"40/other,{"sid":""#) == true)
                #expect(try await client.text() == #"42/other,["auth",{}]"#)
            }
        }
    }

    @Test("One connection is in at most as many namespaces as it may")
    func namespaceBound() async throws {
        var settings = SocketIOConfiguration()
        settings.maxNamespacesPerConnection = 3
        try await TestServer.with(socketIO: settings, { io in _ = io.of(/\/n\d+/) }) { server in
            try await RawClient.open(server.port) { client in
                for number in 0..<3 {
                    try await client.send(text: "40/n\(number)")
                    #expect(try await client.text()?.hasPrefix("40/n\(number),") == true)
                }
                try await client.send(text: "40/n3")
                #expect(try await client.frame() == .close(1007))
            }
        }
    }
}
