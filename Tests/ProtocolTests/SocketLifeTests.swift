import EngineIO
import Foundation
import NIOCore
import ServiceLifecycle
import SocketIO
import Synchronization
import Testing

/// How connections end, and what is left of them.
@Suite(.timeLimit(.minutes(20))) struct SocketLifeTests {
    /// Remembers connections, receivers and sockets without keeping them.
    private final class Witness: EngineApplication {
        private struct Weak: Sendable { weak var object: (any AnyObject & Sendable)? }

        private let io: SocketIOServer
        private let seen = Mutex<[Weak]>([])

        init(_ io: SocketIOServer) {
            self.io = io
            io.of("/").onConnection(inline: { self.remember($0) })
        }

        private func remember(_ object: any AnyObject & Sendable) {
            self.seen.withLock { $0.append(Weak(object: object)) }
        }

        func connected(_ connection: any EngineConnection) -> any EngineReceiver {
            self.remember(connection)
            return self.io.connected(connection)
        }

        var count: Int { self.seen.withLock { $0.count } }

        /// Returns when all of them are gone; the suite's time limit ends the wait if they never are.
        func allGone() async throws {
            while self.seen.withLock({ $0.contains { $0.object != nil } }) {
                try await Task.sleep(for: .milliseconds(2))
            }
        }
    }

    private static func install(_ io: SocketIOServer) {
        let main = io.of("/")
        main.on("join") { socket, event in
            if let room = try? event.decode(String.self) { await socket.join(room) }
            event.ack()
        }
        main.on("kick", inline: { socket, _ in socket.disconnect() })
        main.on("end", inline: { socket, _ in socket.disconnect(close: true) })
        main.on("owe", inline: { socket, _ in socket.emit("ask", arguments: [], timeout: nil) { _ in _ = socket } })
        main.on("know", inline: { socket, _ in socket.on("x", inline: { _ in _ = socket.id }) })
    }

    @Test("A broadcast from the loop does not overtake one that another thread sent before")
    func broadcastOrder() async throws {
        try await TestServer.with({ io in
            let main = io.of("/")
            main.on(
                "race",
                inline: { _, _ in
                    // The loop stands still until the other thread has sent.
                    let sent = DispatchSemaphore(value: 0)
                    Thread.detachNewThread {
                        main.emit("first")
                        sent.signal()
                    }
                    sent.wait()
                    main.emit("second")
                }
            )
        }) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await client.send(text: #"42["race"]"#)
                let heard = [try await client.text(), try await client.text()]
                #expect(heard == [#"42["first"]"#, #"42["second"]"#])
            }
        }
    }

    @Test("A thousand sockets that came and went leave nothing behind")
    func leaks() async throws {
        let witness = Mutex<Witness?>(nil)
        try await TestServer.with(
            application: { io in
                let made = Witness(io)
                witness.withLock { $0 = made }
                return made
            },
            Self.install
        ) { server in
            // Each leaves in another way: cut, taking leave, thrown out, in the middle of a packet, owing an answer.
            let farewells = ["", "41", #"42["kick"]"#, #"42["end"]"#, #"451-["a",{"_placeholder":true,"num":0}]"#]
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for worker in 0..<10 {
                    tasks.addTask {
                        for round in 0..<100 {
                            try await RawClient.joined(server.port) { client, _ in
                                try await client.send(text: #"42["owe"]"#)
                                try await client.send(text: #"42["know"]"#)
                                try await client.send(text: #"421["join","r\#(round % 7)"]"#)
                                while let text = try await client.text(), text != "431[]" {}
                                let farewell = farewells[(round + worker) % farewells.count]
                                if !farewell.isEmpty { try await client.send(text: farewell) }
                            }
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            let kept = witness.withLock { $0 }
            #expect(kept?.count == 2000)
            try await kept?.allGone()
            #expect(server.io.of("/").localMemberCount() == 0)
            #expect(server.io.of("/").localRooms() == [])
        }
    }

    @Test("Middleware that never answers keeps no connection, and says nothing to one that has left")
    func hangingMiddleware() async throws {
        let gate = Gate()
        let witness = Mutex<Witness?>(nil)
        var settings = SocketIOConfiguration()
        settings.connectTimeout = .milliseconds(200)
        try await TestServer.with(
            socketIO: settings,
            application: { io in
                let made = Witness(io)
                witness.withLock { $0 = made }
                return made
            },
            { io in io.of("/").use { _ in await gate.wait() } }
        ) { server in
            try await RawClient.open(server.port) { client in try await client.send(text: "40") }
            try await RawClient.open(server.port) { client in
                try await client.send(text: "40")
                #expect(try await client.frame() == .close(1000))
            }
            let kept = witness.withLock { $0 }
            #expect(kept?.count == 2)
            try await kept?.allGone()
            gate.open()
            #expect(server.io.of("/").localMemberCount() == 0)
        }
    }

    @Test("Middleware that throws something else than a refusal tells nothing of it")
    func failingMiddleware() async throws {
        struct Secret: Error {}
        try await TestServer.with({ io in io.of("/").use { _ in throw Secret() } }) { server in
            try await RawClient.open(server.port) { client in
                try await client.send(text: "40")
                #expect(try await client.text() == #"44{"message":"Internal error"}"#)
            }
        }
    }

    @Test("Who floods the handlers is closed with 1008; what was taken is handled, then the disconnect, once")
    func handlerBound() async throws {
        let gate = Gate()
        let (done, note) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(200))
        var settings = SocketIOConfiguration()
        settings.maxEventsPerSecond = nil
        settings.maxPendingEvents = 8
        try await TestServer.with(
            socketIO: settings,
            { io in
                io.of("/").on("n") { socket, event in
                    await gate.wait()
                    await socket.join("late")
                    note.yield(event[0].string)
                }
                io.of("/").on("i", inline: { _, event in note.yield(event[0].string) })
                io.of("/").onDisconnect { _, reason in note.yield(reason.rawValue) }
            }
        ) { server in
            try await RawClient.joined(server.port) { client, _ in
                for number in 0..<10 {
                    try await client.send(text: #"42["\#(number % 2 == 0 ? "n" : "i")",\#(number)]"#)
                }
                #expect(try await client.frame() == .close(1008))
            }
            gate.open()
            var iterator = done.makeAsyncIterator()
            for number in 0..<9 { #expect(await iterator.next(isolation: #isolation) == "\(number)") }
            #expect(await iterator.next(isolation: #isolation) == "too many events")
            #expect(server.io.of("/").localMemberCount("late") == 0)
            note.finish()
            #expect(await iterator.next(isolation: #isolation) == nil)
        }
    }

    @Test("A client that stops reading is cut off, and the others of its room miss nothing")
    func slowConsumer() async throws {
        let (reasons, reason) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(4))
        try await TestServer.with({ io in
            Self.install(io)
            io.of("/").onDisconnect(inline: { _, why in reason.yield(why.rawValue) })
        }) { server in
            try await RawClient.joined(server.port) { reader, _ in
                try await RawClient.joined(server.port, receiveBuffer: 4096) { _, _ in
                    server.io.of("/").all.socketsJoin("flood")
                    let padding = String(repeating: "x", count: 20_000)
                    var number = 0
                    // The reader sets the pace, so that only who does not read falls behind.
                    while server.io.of("/").localMemberCount() == 2 {
                        server.io.to("flood").emit("n", number, padding)
                        let text = try await reader.text()
                        #expect(text?.hasPrefix(#"42["n",\#(number),"#) == true)
                        number += 1
                        #expect(number < 5_000)
                        if number >= 5_000 { break }
                    }
                }
                // It is told on another loop than the one that counts members; the reader stays until then.
                var iterator = reasons.makeAsyncIterator()
                #expect(await iterator.next(isolation: #isolation) == "slow consumer")
            }
            var iterator = reasons.makeAsyncIterator()
            #expect(await iterator.next(isolation: #isolation) == "transport close")
        }
    }

    @Test("A message larger than the outbound bound reaches who reads")
    func largeMessage() async throws {
        try await TestServer.with(engine: { $0.maxPendingOutboundBytes = 16 * 1024 }, { _ in }) { server in
            try await RawClient.joined(server.port) { client, _ in
                server.io.emit("large", String(repeating: "x", count: 60_000))
                let frame = try await client.frame()
                #expect(frame == .text(#"42["large",""# + String(repeating: "x", count: 60_000) + #""]"#))
            }
        }
    }

    @Test("A socket that left can do no harm: no rooms, no answers, no events")
    func afterDisconnect() async throws {
        let (sockets, found) = AsyncStream<Socket>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (left, leave) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await TestServer.with({ io in
            io.of("/").onConnection(inline: { found.yield($0) })
            io.of("/").onDisconnect { _, _ in leave.yield() }
        }) { server in
            try await RawClient.joined(server.port) { _, _ in }
            var iterator = sockets.makeAsyncIterator()
            var leaves = left.makeAsyncIterator()
            let socket = try #require(await iterator.next(isolation: #isolation))
            await leaves.next(isolation: #isolation)
            await socket.join("r")
            socket.joinInline("r")
            socket.emit("x")
            socket.disconnect(close: true)
            await #expect(throws: AckError.disconnected) { try await socket.emitWithAck("x", timeout: .seconds(5)) }
            #expect(await socket.rooms == [])
            #expect(!socket.isConnected)
            #expect(server.io.of("/").localMemberCount("r") == 0)
        }
    }

    @Test("Calls from many threads at once leave the books in order")
    func races() async throws {
        try await TestServer.with(Self.install) { server in
            let main = server.io.of("/")
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<16 {
                    tasks.addTask {
                        for round in 0..<10 {
                            try await RawClient.joined(server.port) { client, id in
                                let all = await main.all.localSockets()
                                await withDiscardingTaskGroup { group in
                                    for socket in all {
                                        group.addTask { await socket.join("a", "b\(round)") }
                                        group.addTask { main.to("a").except("b\(round)").emit("x", 1) }
                                        group.addTask { await socket.leave("a") }
                                    }
                                }
                                main.to(id).disconnectSockets(close: round % 2 == 0)
                                while let text = try await client.text(), text != "41" {}
                            }
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(main.localMemberCount() == 0)
            #expect(main.localRooms() == [])
        }
    }

    @Test("A server that shuts down tells its sockets, drops who does not answer, and ends")
    func quiescing() async throws {
        let (ends, end) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await TestServer.with({ _ in }) { server in
            try await RawClient.joined(server.port) { client, _ in
                try await RawClient.open(server.port) { unjoined in
                    try await RawClient.connect(server.port) { silent in
                        await server.group.triggerGracefulShutdown()
                        let farewells = [try await client.frame(), try await unjoined.frame()]
                        #expect(farewells == [.close(1001), .close(1001)])
                        let nothing = try await silent.rest()
                        #expect(nothing == "")
                        // Neither sends a close frame of its own, and both are dropped all the same.
                        let ends = [try await client.frame(), try await unjoined.frame()]
                        #expect(ends == [.end, .end])
                        end.yield()
                    }
                }
            }
        }
        var iterator = ends.makeAsyncIterator()
        await iterator.next(isolation: #isolation)
    }
}

/// Holds whoever waits until it is opened; then nobody.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = self.state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = self.state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
