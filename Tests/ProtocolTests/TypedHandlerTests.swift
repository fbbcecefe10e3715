import FoundationEssentials
import NIOCore
import SocketIO
import Synchronization
import Testing

/// Handlers with typed arguments, and what else the library offers to applications.
@Suite(.timeLimit(.minutes(20))) struct TypedHandlerTests {
    private struct Seat: Codable, Sendable {
        var row: Int
        var number: Int
    }

    private struct Taken: Error {}

    private static func install(_ io: SocketIOServer, _ note: @escaping @Sendable (String) -> Void) {
        let main = io.of("/")
        main.on("one") { (socket, seat: Seat) in socket.emit("row", seat.row) }
        main.on("two", inline: { (socket, a: Int, b: String) in socket.emit("two", b, a) })
        main.on("three") { (_, a: Int, b: Int?, c: [Int]) -> Int in a + (b ?? 100) + c.reduce(0, +) }
        main.on("sum", inline: { (_, numbers: [Int]) -> Int in numbers.reduce(0, +) })
        main.on("ack1") { (_, a: Int, ack: Ack) in ack(a, "x") }
        main.on("ack2", inline: { (_, a: Int, b: Bool, ack: Ack) in ack(["a": a], b) })
        main.on("ack3") { (_, a: Int, b: Int, c: Int, ack: Ack) in ack(a * b * c) }
        main.on("now") { (socket) -> String in socket.id }
        main.on("take") { (_, seat: Seat) async throws -> Bool in
            guard seat.row > 0 else { throw Taken() }
            return true
        }
        main.on("raw", inline: { (socket, value: RawJSON, bytes: ByteBuffer) in socket.emit("raw", value, bytes) })
        main.on("nested", inline: { (_, value: [String: RawJSON]) -> RawJSON in value["x"] ?? .null })
        main.onInvalidEvent { _, event, error in note("\(event.name) \(error is Taken ? "taken" : "unfit")") }
    }

    @Test(
        "A typed handler gets the arguments decoded, and what it returns is the acknowledgement",
        arguments: [
            (#"42["one",{"row":3,"number":1}]"#, #"42["row",3]"#),
            (#"42["two",1,"b"]"#, #"42["two","b",1]"#),
            (#"421["three",1,2,[3]]"#, "431[6]"), (#"421["three",1,null,[]]"#, "431[101]"),
            (#"421["sum",[1,2,3]]"#, "431[6]"), (#"421["sum",[1,2],"more than it takes"]"#, "431[3]"),
            (#"421["ack1",7]"#, #"431[7,"x"]"#), (#"421["ack2",7,true]"#, #"431[{"a":7},true]"#),
            (#"421["ack3",2,3,4]"#, "431[24]"), (#"421["take",{"row":1,"number":1}]"#, "431[true]"),
            (#"421["nested",{"x":{"y":[1,true,"z"]}}]"#, #"431[{"y":[1,true,"z"]}]"#),
        ]
    )
    func typed(sent: String, answer: String) async throws {
        try await TestServer.with({ Self.install($0) { _ in } }) { server in
            try await RawClient.joined(server.port) { client, id in
                try await client.send(text: sent)
                #expect(try await client.text() == answer)
                try await client.send(text: #"422["now"]"#)
                #expect(try await client.text() == #"432["\#(id)"]"#)
            }
        }
    }

    @Test("An event that does not fit its handler, or whose handler throws, is told and not acknowledged")
    func unfit() async throws {
        let (notes, note) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(10))
        try await TestServer.with({ Self.install($0) { note.yield($0) } }) { server in
            try await RawClient.joined(server.port) { client, _ in
                var iterator = notes.makeAsyncIterator()
                for (sent, told) in [
                    (#"421["sum","x"]"#, "sum unfit"), (#"421["sum"]"#, "sum unfit"),
                    (#"421["ack1",1.5]"#, "ack1 unfit"), (#"421["one",{"row":1,"row":2,"number":1}]"#, "one unfit"),
                    (#"421["take",{"row":0,"number":0}]"#, "take taken"),
                ] {
                    try await client.send(text: sent)
                    #expect(await iterator.next(isolation: #isolation) == told)
                }
                try await client.send(text: #"422["sum",[1]]"#)
                #expect(try await client.text() == "432[1]")
            }
        }
    }

    @Test("Binary arguments are buffers, in handlers and in emits")
    func binary() async throws {
        try await TestServer.with({ Self.install($0) { _ in } }) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"451-["raw",{"a":1.0},{"_placeholder":true,"num":0}]"#)
                try await client.send(binary: [7, 8])
                #expect(try await client.text() == #"451-["raw",{"a":1.0},{"_placeholder":true,"num":0}]"#)
                #expect(try await client.frame() == .binary([7, 8]))
                server.io.emit("data", Data([1]), 2)
                #expect(try await client.text() == #"451-["data",{"_placeholder":true,"num":0},2]"#)
                #expect(try await client.frame() == .binary([1]))
            }
        }
    }

    @Test("A socket may have handlers of its own, which come before the namespace's, and give them back")
    func ownHandlers() async throws {
        let (seen, see) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(10))
        try await TestServer.with({ io in
            io.of("/").onConnection(inline: { socket in
                socket.on("double") { (n: Int) -> Int in n * 2 }
                socket.on(
                    "say",
                    inline: { (text: String, times: Int) in
                        socket.emit("said", String(repeating: text, count: times))
                    }
                )
                socket.onAny(inline: { see.yield($0.name) })
            })
            io.of("/").on("double", inline: { (_, n: Int) -> Int in -n })
            io.of("/").on("stop", inline: { socket, _ in socket.off("double") })
            io.of("/").onAny(inline: { _, event in see.yield("all \(event.name)") })
        }) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"421["double",4]"#)
                #expect(try await client.text() == "431[8]")
                try await client.send(text: #"42["say","a",3]"#)
                #expect(try await client.text() == #"42["said","aaa"]"#)
                try await client.send(text: #"42["stop"]"#)
                try await client.send(text: #"421["double",4]"#)
                #expect(try await client.text() == "431[-4]")
                var iterator = seen.makeAsyncIterator()
                for name in ["double", "say", "stop", "double"] {
                    #expect(await iterator.next(isolation: #isolation) == "all \(name)")
                    #expect(await iterator.next(isolation: #isolation) == name)
                }
            }
        }
    }

    @Test("A socket tells of every event that it is sent, with its arguments: its own, acknowledged ones, broadcasts")
    func outgoing() async throws {
        let (seen, see) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(10))
        try await TestServer.with({ io in
            io.of("/").onConnection(inline: { socket in
                socket.onAnyOutgoing(inline: { event in
                    see.yield(([event.name] + event.arguments.map(\.string)).joined(separator: " "))
                })
                socket.emit("one", 1, "a")
            })
            io.of("/").on(
                "go",
                inline: { socket, event in
                    // An acknowledgement is no event.
                    event.ack()
                    socket.emit("bytes", arguments: [RawJSON(binary: ByteBuffer(bytes: [1, 2]))])
                    socket.emit("question", arguments: [], timeout: nil) { _ in }
                    socket.namespace.emit("all", [2])
                }
            )
        }) { server in
            try await RawClient.joined(server.port) { client, _ in
                #expect(try await client.text() == #"42["one",1,"a"]"#)
                try await client.send(text: #"421["go"]"#)
                #expect(try await client.text() == "431[]")
                var iterator = seen.makeAsyncIterator()
                for event in ["one 1 \"a\"", #"bytes {"_placeholder":true,"num":0}"#, "question", "all [2]"] {
                    #expect(await iterator.next(isolation: #isolation) == event)
                }
            }
        }
    }

    @Test("An acknowledgement of the client comes back as a value, or as the reason why there is none")
    func clientAck() async throws {
        try await TestServer.with({ io in
            io.of("/").on("ask") { (socket, wait: Int64, ack: Ack) in
                do {
                    let value = try await socket.emitWithAck("q", as: [Int].self, timeout: .milliseconds(wait))
                    ack(value.count)
                } catch {
                    ack("\(error)")
                }
            }
        }) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"421["ask",60000]"#)
                #expect(try await client.text() == #"420["q"]"#)
                try await client.send(text: "430[[1,2,3]]")
                #expect(try await client.text() == "431[3]")
                try await client.send(text: #"422["ask",20]"#)
                #expect(try await client.text() == #"421["q"]"#)
                #expect(try await client.text() == #"432["timeout"]"#)
                // Too late: nobody waits for it, and nothing else happens.
                try await client.send(text: "431[[1]]")
                try await client.send(text: #"423["ask",20]"#)
                #expect(try await client.text() == #"422["q"]"#)
            }
        }
    }

    @Test("Middleware runs in its order, on the loop or waiting, and the first refusal ends it")
    func middleware() async throws {
        let steps = Mutex<[String]>([])
        try await TestServer.with({ io in
            io.use(inline: { _ in steps.withLock { $0.append("a") } })
            io.use { _ in steps.withLock { $0.append("b") } }
            io.use(inline: { socket in
                socket.eventLoop.preconditionInEventLoop()
                steps.withLock { $0.append("c") }
                if socket.handshake.auth.string.contains("no") { throw ConnectError(message: "no", data: [1]) }
            })
            io.use { _ in steps.withLock { $0.append("d") } }
        }) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: #"40{"x":"no"}"#)
                #expect(try await client.text() == #"44{"message":"no","data":[1]}"#)
                try await client.send(text: "40")
                #expect(try await client.text()?.hasPrefix(#"40{"sid":""#) == true)
            }
        }
        #expect(steps.withLock { $0 } == ["a", "b", "c", "a", "b", "c", "d"])
    }
}
