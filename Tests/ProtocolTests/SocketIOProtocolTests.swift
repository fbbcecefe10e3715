import NIOCore
import SocketIO
import SocketIORedis
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(20))) struct SocketIOProtocolTests {
    static func rooms(_ io: SocketIOServer) {
        let main = io.of("/")
        main.on("join") { socket, event in
            if let room = try? event.decode(String.self) { await socket.join(room) }
            event.ack()
        }
        main.on(
            "say",
            inline: { socket, event in
                guard let room = try? event.decode(String.self) else { return }
                socket.namespace.to(room).emit("said", arguments: Array(event.arguments.dropFirst()))
            }
        )
        main.on(
            "others",
            inline: { socket, event in
                guard let room = try? event.decode(String.self) else { return }
                socket.to(room).emit("said", arguments: Array(event.arguments.dropFirst()))
            }
        )
        main.on("slow") { _, event in event.ack(event.name) }
        main.on("fast", inline: { _, event in event.ack(event.name) })
        main.on("question") { socket, event in
            let answer = try? await socket.emitWithAck("q", 1, timeout: .seconds(5))
            event.ack(answer?[0] ?? .null)
        }
        let guarded = io.of("/guarded")
        guarded.use { socket in
            guard socket.handshake.auth.string == #"{"token":"good"}"# else {
                throw ConnectError(message: "Authentication required", data: ["code": "UNAUTHENTICATED"])
            }
        }
    }

    @Test("CONNECT is answered with a socket id, or CONNECT_ERROR with message and data")
    func connect() async throws {
        try await TestServer.with(Self.rooms) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: "40/unknown")
                #expect(try await client.text() == #"44/unknown,{"message":"Invalid namespace"}"#)
                try await client.send(text: "40/guarded,")
                let refused = #"44/guarded,{"message":"Authentication required","data":{"code":"UNAUTHENTICATED"}}"#
                #expect(try await client.text() == refused)
                try await client.send(text: #"40/guarded,{"token":"good"}"#)
                #expect(try await client.text()?.hasPrefix(#"40/guarded,{"sid":""#) == true)
            }
        }
    }

    @Test("Acknowledgements go both ways")
    func acknowledgements() async throws {
        try await TestServer.with(Self.rooms) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"427["question"]"#)
                #expect(try await client.text() == #"420["q",1]"#)
                try await client.send(text: #"430["fine"]"#)
                #expect(try await client.text() == #"437["fine"]"#)
            }
        }
    }

    @Test("Handlers of one socket run in the order of arrival, inline ones too")
    func order() async throws {
        try await TestServer.with(Self.rooms) { server in
            try await RawClient.joined(server.port) { client, _ in
                for id in 0..<20 { try await client.send(text: #"42\#(id)["\#(id % 2 == 0 ? "slow" : "fast")"]"#) }
                for id in 0..<20 {
                    #expect(try await client.text() == #"43\#(id)["\#(id % 2 == 0 ? "slow" : "fast")"]"#)
                }
            }
        }
    }

    @Test("A room's members get what is said in it, binary included; a socket's id is a room")
    func roomsAndBinary() async throws {
        try await TestServer.with(Self.rooms) { server in
            try await RawClient.joined(server.port) { first, _ in
                try await RawClient.joined(server.port) { second, id in
                    try await second.send(text: #"421["join","r"]"#)
                    #expect(try await second.text() == "431[]")
                    try await first.send(text: #"451-["say","r",{"_placeholder":true,"num":0}]"#)
                    try await first.send(binary: [1, 2, 3])
                    #expect(try await second.text() == #"451-["said",{"_placeholder":true,"num":0}]"#)
                    #expect(try await second.frame() == .binary([1, 2, 3]))
                    try await first.send(text: #"42["say","\#(id)",5]"#)
                    #expect(try await second.text() == #"42["said",5]"#)
                    try await second.send(text: #"42["others","r",1]"#)
                    try await second.send(text: #"42["say","r",2]"#)
                    #expect(try await second.text() == #"42["said",2]"#)
                    #expect(server.io.of("/").localMemberCount("r") == 1)
                }
            }
        }
    }

    @Test("A disconnected socket leaves its rooms and says why")
    func disconnect() async throws {
        let (reasons, reason) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(8))
        try await TestServer.with({ io in
            Self.rooms(io)
            io.of("/").onDisconnect { _, why in reason.yield(why.rawValue) }
        }) { server in
            var iterator = reasons.makeAsyncIterator()
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"421["join","r"]"#)
                _ = try await client.text()
                try await client.send(text: "41")
                let reason1 = await iterator.next(isolation: #isolation)
                #expect(reason1 == "client namespace disconnect")
                #expect(server.io.of("/").localMemberCount("r") == 0)
            }
            try await RawClient.joined(server.port) { _, _ in }
            let reason2 = await iterator.next(isolation: #isolation)
            #expect(reason2 == "transport close")
            try await RawClient.joined(server.port) { client, _ in
                server.io.local.disconnectSockets(close: true)
                let farewell = try await client.text()
                #expect(farewell == "41")
                #expect(try await client.frame() == .close(1000))
                let reason3 = await iterator.next(isolation: #isolation)
                #expect(reason3 == "server namespace disconnect")
            }
        }
    }

    @Test("Two servers behind one adapter are one")
    func twoNodes() async throws {
        let bus = InMemoryBus()
        try await Self.checkTwoNodes(bus.makeAdapter(), bus.makeAdapter(), room: "r")
    }

    static func checkTwoNodes(_ one: any SocketAdapter, _ two: any SocketAdapter, room: String) async throws {
        try await TestServer.with(adapter: one, Self.rooms) { here in
            try await TestServer.with(adapter: two, Self.rooms) { there in
                try await RawClient.joined(here.port) { first, _ in
                    try await RawClient.joined(there.port) { second, id in
                        try await second.send(text: #"421["join","\#(room)"]"#)
                        #expect(try await second.text() == "431[]")
                        for number in 0..<50 { try await first.send(text: #"42["say","\#(room)",\#(number)]"#) }
                        for number in 0..<50 { #expect(try await second.text() == #"42["said",\#(number)]"#) }
                        try await first.send(text: #"42["say","\#(id)","you"]"#)
                        #expect(try await second.text() == #"42["said","you"]"#)
                        try await second.send(text: #"42["say","\#(room)","once"]"#)
                        #expect(try await second.text() == #"42["said","once"]"#)
                        here.io.to(room).disconnectSockets()
                        #expect(try await second.text() == "41")
                    }
                }
            }
        }
    }
}

@Suite(.enabled(if: TestRedis.isConfigured)) struct SocketIOClusterRedisTests {
    @Test("Two servers behind Redis are one")
    func twoNodes() async throws {
        let prefix = TestRedis.uniqueKey("sio")
        try await TestRedis.withClient { client in
            try await TestRedis.withSubscriber { one in
                try await TestRedis.withSubscriber { two in
                    let first = RedisAdapter(client: client, subscriber: one, prefix: prefix, logger: TestServer.logger)
                    let second = RedisAdapter(
                        client: client,
                        subscriber: two,
                        prefix: prefix,
                        logger: TestServer.logger
                    )
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        tasks.addTask { try await first.run() }
                        tasks.addTask { try await second.run() }
                        try await SocketIOProtocolTests.checkTwoNodes(first, second, room: prefix)
                        tasks.cancelAll()
                    }
                }
            }
        }
    }
}
