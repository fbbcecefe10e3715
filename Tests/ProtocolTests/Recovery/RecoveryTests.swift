import EngineIO
import NIOCore
import SocketIO
import Synchronization
import Testing

/// Connection state recovery as socket.io-client speaks it, on one server.
@Suite(.timeLimit(.minutes(20))) struct RecoveryTests {
    @Test("CONNECT is answered with sid and pid; without recovery with the sid alone, and events carry no offset")
    func answer() async throws {
        try await RecoveryServers.with(.memory) { servers in
            try await RecoveryClient.connect(servers[0].port) { client in
                #expect(client.memory.sid.count == 20 && client.memory.pid?.count == 20)
                #expect(client.memory.pid != client.memory.sid)
            }
        }
        try await TestServer.with({ RecoveryServers.install(on: $0.of("/")) }) { server in
            let memory = try await RecoveryClient.connect(server.port) { client in
                try await client.send(#"["me",1]"#)
                try await client.expect(#"42["me",1]"#)
            }
            #expect(memory.pid == nil && memory.offset == nil)
        }
    }

    @Test(
        "Each event without acknowledgement that is not volatile carries an offset as its last argument, binary too",
        arguments: RecoveryBackend.available
    )
    func offsets(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            try await RecoveryClient.connect(servers[0].port) { client in
                func offset(behind text: String, _ event: String) async throws -> String {
                    try await client.send(event)
                    let packet = try await client.packet()
                    #expect(packet.hasPrefix(text + ",\"") && packet.hasSuffix("\"]"), "\(packet)")
                    return packet
                }
                let one = try await offset(behind: #"42["me",1"#, #"["me",1]"#)
                let two = try await offset(behind: #"42["all",{"a":[true]}"#, #"["all",{"a":[true]}]"#)
                let three = try await offset(behind: #"42["all""#, #"["all"]"#)
                #expect(Set([one, two, three]).count == 3)
                try await client.raw.send(text: #"451-["all",{"_placeholder":true,"num":0},2]"#)
                try await client.raw.send(binary: [1, 2])
                let binary = try await client.packet()
                #expect(binary.hasPrefix(#"451-["all",{"_placeholder":true,"num":0},2,""#))
                try await client.send(#"["ask"]"#)
                #expect(try await client.packet() == #"420["question",1]"#)
                try await client.send(#"["maybe",1]"#)
                #expect(try await client.packet() == #"42["maybe",1]"#)
            }
        }
    }

    @Test(
        "Who comes back is the same socket, in its rooms and with its data, and gets what it missed, then what is new",
        arguments: RecoveryBackend.available
    )
    func recovers(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in
                try await client.call(#"["join","r"]"#)
                try await client.call(#"["set",{"a":[1,true]}]"#)
                try await client.send(#"["me",0]"#)
                try await client.expect(#"42["me",0]"#)
            }
            io.emit("all", 1)
            io.to("r").emit("room", 2)
            io.to("other").emit("room", 3)
            io.to("r").except(first.sid).emit("room", 4)
            io.to(first.sid, "r").emit("both", RawJSON(binary: ByteBuffer(bytes: [7])))
            try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid && client.memory.pid == first.pid)
                try await client.expect(#"42["all",1]"#)
                let offset = client.memory.offset
                #expect(offset != first.offset)
                try await client.expect(#"42["room",2]"#)
                #expect(client.memory.offset != offset)
                try await client.expect(#"451-["both",{"_placeholder":true,"num":0}]"#)
                io.to("r").emit("live", 5)
                try await client.expect(#"42["live",5]"#)
                try await client.expect(#"["whoami"]"#, isAnswered: #"[[true,["r"],{"a":[1,true]}]]"#)
            }
        }
    }

    @Test("Replayed events carry the offsets they had", arguments: RecoveryBackend.available)
    func ownOffsets(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in
                try await client.send(#"["me"]"#)
                _ = try await client.event()
            }
            try await RecoveryClient.connect(port) { witness in
                for number in 1...3 { io.emit("all", number) }
                var live: [String] = []
                for _ in 1...3 { live.append(try await witness.packet()) }
                try await RecoveryClient.connect(port, first) { client in
                    for packet in live {
                        let replayed = try await client.packet()
                        #expect(replayed == packet)
                    }
                }
            }
        }
    }

    @Test(
        "Who had no event yet comes back without an offset, and gets all since it came",
        arguments: RecoveryBackend.available
    )
    func zeroEvents(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            io.emit("all", "before")
            let first = try await RecoveryClient.connect(port) { client in try await client.call(#"["join","r"]"#) }
            #expect(first.offset == nil)
            io.to("r").emit("room", 1)
            try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["room",1]"#)
                try await client.expect(#"["whoami"]"#, isAnswered: #"[[true,["r"],null]]"#)
            }
        }
    }

    @Test(
        "One can come back twice in a row, also without having read what was sent again",
        arguments: RecoveryBackend.available
    )
    func twice(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in try await client.call(#"["join","r"]"#) }
            io.to("r").emit("room", 1)
            io.to("r").emit("room", 2)
            let second = try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["room",1]"#)
                try await client.send(#"["me",9]"#)
            }
            io.to("r").emit("room", 3)
            let third = try await RecoveryClient.connect(port, second) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["room",2]"#)
                var rest = [try await client.event()]
                // Whether "me" came to the server before the connection was cut is not for the test to say.
                if rest[0].contains("me") { rest.append(try await client.event()) }
                #expect(rest.last == #"42["room",3]"#)
            }
            try await RecoveryClient.connect(port, third) { client in
                #expect(client.memory.sid == first.sid)
                io.to("r").emit("room", 4)
                let events = try await client.events(through: #"42["room",4]"#)
                #expect(events.count <= 2)
            }
        }
    }

    @Test(
        "While the old connection still looks open, the session moves to the new one",
        arguments: RecoveryBackend.available
    )
    func halfOpen(_ backend: RecoveryBackend) async throws {
        let reasons = Mutex<[String]>([])
        try await RecoveryServers.with(
            backend,
            install: { io in
                RecoveryServers.install(on: io.of("/"))
                io.of("/").onDisconnect(inline: { socket, reason in
                    reasons.withLock { $0.append(reason.rawValue) }
                })
            }
        ) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            try await RecoveryClient.connect(port) { old in
                try await old.call(#"["join","r"]"#)
                try await old.call(#"["set",5]"#)
                try await old.send(#"["me",0]"#)
                _ = try await old.event()
                let seen = old.memory
                // Sent to a peer that is not there any more.
                io.to("r").emit("room", 1)
                try await RecoveryClient.connect(port, seen) { client in
                    #expect(client.memory.sid == seen.sid)
                    #expect(reasons.withLock { $0 } == ["transport close"])
                    try await client.expect(#"42["room",1]"#)
                    io.to("r").emit("room", 2)
                    try await client.expect(#"42["room",2]"#)
                    try await client.expect(#"["whoami"]"#, isAnswered: #"[[true,["r"],5]]"#)
                    #expect(io.of("/").localMemberCount() == 1 && io.of("/").localMemberCount("r") == 1)
                    // The old connection is closed, and got nothing after the session was taken from it.
                    let rest = try await old.untilClosed()
                    #expect(rest.isEmpty || rest == [#"42["room",1]"#])
                }
            }
        }
    }

    @Test("Anything unusable in the request quietly gives a new socket", arguments: RecoveryBackend.available)
    func unusable(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(
            backend,
            install: { io in
                for name in ["/", "/other"] { RecoveryServers.install(on: io.of(name)) }
            }
        ) { servers in
            let port = servers[0].port
            let first = try await RecoveryClient.connect(port) { client in
                try await client.send(#"["all",0]"#)
                _ = try await client.event()
            }
            let (pid, offset) = (first.pid ?? "", first.offset ?? "")
            let epoch = offset.prefix { $0 != "." }
            let payloads = [
                #"{"pid":"nobody","offset":"\#(offset)"}"#,
                #"{"pid":"\#(pid)","offset":"garbage"}"#,
                #"{"pid":"\#(pid)","offset":""}"#,
                #"{"pid":"\#(pid)","offset":"\#(epoch).99"}"#,
                #"{"pid":"\#(pid)","offset":"\#(epoch).-1"}"#,
                #"{"pid":"\#(pid)","offset":"\#(epoch).99999999999999999999"}"#,
                #"{"pid":"\#(pid)","offset":"\#(epoch).1.2"}"#,
                #"{"pid":"\#(pid)","offset":"\#(epoch).1.99.\#(first.sid.prefix(6))"}"#,
                #"{"pid":"\#(pid)","offset":"x\#(offset)"}"#,
                #"{"pid":"\#(pid)","offset":7}"#, #"{"pid":"\#(pid)","offset":null}"#,
                #"{"pid":7,"offset":"\#(offset)"}"#, #"{"pid":["\#(pid)"],"offset":"\#(offset)"}"#,
                #"{"pid":null}"#, #"{"pid":{},"offset":{}}"#, #"{"offset":"\#(offset)"}"#,
                #"{"pid":"\#(pid)","offset":"\#(String(repeating: "1", count: 5000))"}"#,
            ]
            for payload in payloads {
                try await RecoveryClient.connect(port, payload: payload) { client in
                    #expect(client.memory.sid != first.sid, "\(payload)")
                    #expect(client.memory.pid != pid, "\(payload)")
                    try await client.expect(#"["whoami"]"#, isAnswered: "[[false,[],null]]")
                }
            }
            // A session of one namespace is unknown in another; and it is still there.
            try await RecoveryClient.connect(port, first, payload: "," + first.payload, namespace: "/other") { client in
                #expect(client.memory.sid != first.sid)
            }
            try await RecoveryClient.connect(port, first) { client in #expect(client.memory.sid == first.sid) }
        }
    }

    @Test("Who took leave, or was thrown out, comes back as somebody new", arguments: RecoveryBackend.available)
    func farewell(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let port = servers[0].port
            for farewell in ["41", #"42["kick"]"#] {
                let first = try await RecoveryClient.connect(port) { client in
                    try await client.send(#"["me",0]"#)
                    _ = try await client.event()
                    try await client.raw.send(text: farewell)
                    if farewell != "41" { #expect(try await client.packet() == "41") }
                }
                // What comes on another connection may be read before it.
                while servers[0].io.of("/").localMemberCount() > 0 { try await Task.sleep(for: .milliseconds(2)) }
                try await RecoveryClient.connect(port, first) { client in #expect(client.memory.sid != first.sid) }
            }
            // Without taking leave of the namespace, the server's end of the connection can be recovered from.
            let first = try await RecoveryClient.connect(port) { client in
                try await client.send(#"["cut"]"#)
                #expect(try await client.raw.answering() == nil)
            }
            try await RecoveryClient.connect(port, first) { client in #expect(client.memory.sid == first.sid) }
        }
    }

    @Test("Who does not answer a ping can come back", arguments: RecoveryBackend.available)
    func pingTimeout(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(
            backend,
            engine: {
                $0.pingInterval = .milliseconds(100)
                $0.pingTimeout = .seconds(3)
            }
        ) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in
                while case .text = try await client.raw.frame() {}
            }
            io.emit("all", 1)
            try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["all",1]"#)
            }
        }
    }

    @Test("Who comes back too late is somebody new", arguments: RecoveryBackend.available)
    func tooLate(_ backend: RecoveryBackend) async throws {
        let ended = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await RecoveryServers.with(
            backend,
            change: { $0.maxDisconnectionDuration = .milliseconds(1) },
            install: { io in
                RecoveryServers.install(on: io.of("/"))
                io.of("/").onDisconnect(inline: { _, _ in ended.continuation.yield() })
            }
        ) { servers in
            let port = servers[0].port
            let first = try await RecoveryClient.connect(port) { client in
                try await client.send(#"["me",0]"#)
                _ = try await client.event()
            }
            var iterator = ended.stream.makeAsyncIterator()
            await iterator.next(isolation: #isolation)
            let deadline = ContinuousClock.now + .milliseconds(20)
            try await Task.sleep(until: deadline)
            try await RecoveryClient.connect(port, first) { client in #expect(client.memory.sid != first.sid) }
        }
    }

    @Test(
        "Who missed more than is kept is somebody new; who missed as much is not",
        arguments: RecoveryBackend.available
    )
    func trimmed(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(
            backend,
            change: {
                $0.maxEventsPerNamespace = 5
                $0.maxEventsPerRoom = 5
            }
        ) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            func missing(_ count: Int) async throws -> Bool {
                let first = try await RecoveryClient.connect(port) { client in
                    try await client.call(#"["join","r"]"#)
                    try await client.send(#"["me",0]"#)
                    _ = try await client.event()
                }
                for number in 0..<count { io.to("r").emit("room", number) }
                var isSame = false
                try await RecoveryClient.connect(port, first) { client in
                    isSame = client.memory.sid == first.sid
                    for number in 0..<(isSame ? count : 0) {
                        try await client.expect(#"42["room",\#(number)]"#)
                    }
                }
                return isSame
            }
            let (five, six) = (try await missing(5), try await missing(6))
            #expect(five && !six)
        }
    }

    @Test(
        "A room's events from before one joined, and from after one left, are not sent again",
        arguments: RecoveryBackend.available
    )
    func membership(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in
                try await client.call(#"["join","left"]"#)
                try await client.send(#"["me",0]"#)
                _ = try await client.event()
                io.to("late").emit("no", 1)
                io.to("late").except("left").emit("no", 1)
                try await client.call(#"["join","late"]"#)
                try await client.call(#"["leave","left"]"#)
            }
            io.to("left").emit("no", 2)
            io.to("late").emit("yes", 3)
            io.to("late").except("left").emit("yes", 4)
            io.except("late").emit("no", 5)
            try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["yes",3]"#)
                try await client.expect(#"42["yes",4]"#)
                try await client.expect(#"["whoami"]"#, isAnswered: #"[[true,["late"],null]]"#)
            }
        }
    }

    @Test(
        "What is emitted to a socket that is gone reaches it when it comes back",
        arguments: RecoveryBackend.available
    )
    func emitsToGoneSocket(_ backend: RecoveryBackend) async throws {
        let sockets = Mutex<[Socket]>([])
        let ended = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        try await RecoveryServers.with(
            backend,
            install: { io in
                RecoveryServers.install(on: io.of("/"))
                io.of("/").onConnection(inline: { socket in sockets.withLock { $0.append(socket) } })
                io.of("/").onDisconnect(inline: { socket, _ in
                    socket.emit("gone", 1)
                    ended.continuation.yield()
                })
            }
        ) { servers in
            let port = servers[0].port
            let first = try await RecoveryClient.connect(port) { client in try await client.call(#"["set",1]"#) }
            var iterator = ended.stream.makeAsyncIterator()
            await iterator.next(isolation: #isolation)
            sockets.withLock { $0[0] }.emit("gone", 2)
            try await RecoveryClient.connect(port, first) { client in
                try await client.expect(#"42["gone",1]"#)
                try await client.expect(#"42["gone",2]"#)
                sockets.withLock { $0[0] }.emit("gone", 3)
                try await client.expect(#"42["gone",3]"#)
            }
        }
    }

    @Test(
        "Middleware is left out for who comes back, or asked again; connection handlers run either way",
        arguments: [true, false]
    )
    func middleware(_ skips: Bool) async throws {
        let asked = Mutex<[Bool]>([])
        let refuses = Mutex(false)
        let seen = Mutex<[Bool]>([])
        try await RecoveryServers.with(
            .memory,
            change: { $0.skipMiddlewares = skips },
            install: { io in
                RecoveryServers.install(on: io.of("/"))
                io.of("/").use { socket in
                    asked.withLock { $0.append(socket.recovered) }
                    if refuses.withLock({ $0 }) { throw ConnectError(message: "no") }
                }
                io.of("/").onConnection(inline: { socket in seen.withLock { $0.append(socket.recovered) } })
            }
        ) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in try await client.call(#"["join","r"]"#) }
            io.to("r").emit("room", 1)
            if !skips {
                refuses.withLock { $0 = true }
                try await RawClient.open(port) { raw in
                    try await raw.send(text: "40" + first.payload)
                    #expect(try await raw.answering() == #"44{"message":"no"}"#)
                }
                refuses.withLock { $0 = false }
            }
            try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["room",1]"#)
            }
            #expect(asked.withLock { $0 } == (skips ? [false] : [false, true, true]))
            #expect(seen.withLock { $0 } == [false, true])
            // The restore's own hold on the room ends a moment after the client has been let in.
            while io.of("/").localMemberCount("r") > 1 { await Task.yield() }
        }
    }

    @Test("Of two connections that ask for one session, one gets it", arguments: RecoveryBackend.available)
    func concurrentRestores(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            var memory = try await RecoveryClient.connect(port) { client in
                try await client.send(#"["me",0]"#)
                _ = try await client.event()
            }
            for _ in 0..<20 {
                let known = memory
                let sids = try await withThrowingTaskGroup(of: String.self) { tasks in
                    for _ in 0..<3 {
                        tasks.addTask { try await RecoveryClient.connect(port, known) { _ in }.sid }
                    }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                // Who was first may have had it until the next one came.
                #expect(sids.contains(known.sid))
                memory = try await RecoveryClient.connect(port, known) { client in
                    #expect(client.memory.sid == known.sid)
                    let same = await io.of("/").all.fetchSockets().filter { $0.id == known.sid }
                    #expect(same.count == 1)
                }
            }
        }
    }

    @Test(
        "However often one comes back while events are sent, none is lost and none comes twice",
        arguments: RecoveryBackend.available
    )
    func noneLostNoneTwice(_ backend: RecoveryBackend) async throws {
        let total = 1000
        let nodes = backend == .memory ? 1 : 2
        try await RecoveryServers.with(
            backend,
            nodes,
            change: {
                $0.maxEventsPerNamespace = 100_000
                $0.maxEventsPerRoom = 100_000
            }
        ) { servers in
            var memory = try await RecoveryClient.connect(servers[0].port) { client in
                try await client.call(#"["join","r"]"#)
            }
            let sid = memory.sid
            async let sent: Void = {
                for number in 0..<total {
                    servers[0].io.to("r").emit("n", number)
                    if number % 3 == 0 { await Task.yield() }
                }
            }()
            var seen: [String] = []
            var round = 0
            while seen.count < total {
                round += 1
                // Most visits are short; later ones are longer, so that it ends.
                let count = min(total - seen.count, (round * 7) % 13 + round / 8 * 10)
                memory = try await RecoveryClient.connect(servers[round % nodes].port, memory) { client in
                    #expect(client.memory.sid == sid, "\(round)")
                    for _ in 0..<count { seen.append(try await client.event()) }
                }
            }
            await sent
            #expect(seen == (0..<total).map { #"42["n",\#($0)]"# })
        }
    }

    @Test("Who is told something and then thrown out has been told", arguments: RecoveryBackend.available)
    func lastWords(_ backend: RecoveryBackend) async throws {
        try await RecoveryServers.with(backend) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            for round in 0..<10 {
                try await RecoveryClient.connect(port) { client in
                    try await client.call(#"["join","r"]"#)
                    io.to("r").emit("bye", round)
                    if round % 2 == 0 {
                        io.in("r").disconnectSockets()
                    } else {
                        for socket in await io.of("/").all.localSockets() { socket.disconnect() }
                    }
                    try await client.expect(#"42["bye",\#(round)]"#)
                    try await client.expect("41")
                }
            }
        }
    }

    @Test("A quiet client in a busy namespace comes back although the log has moved on")
    func quiet() async throws {
        try await RecoveryServers.with(.memory, change: { $0.maxEventsPerNamespace = 5 }) { servers in
            let (port, io) = (servers[0].port, servers[0].io)
            let first = try await RecoveryClient.connect(port) { client in
                try await client.send(#"["me",0]"#)
                _ = try await client.event()
                try await RecoveryClient.connect(port) { other in
                    try await other.call(#"["join","busy"]"#)
                    for number in 0..<20 { io.to("busy").emit("busy", number) }
                    _ = try await other.events(through: #"42["busy",19]"#)
                }
                // Both may be on different loops: what is said to all comes behind it on each.
                io.emit("all", 1)
                _ = try await client.event()
                io.to("busy").emit("busy", 20)
            }
            io.emit("all", 2)
            try await RecoveryClient.connect(port, first) { client in
                #expect(client.memory.sid == first.sid)
                try await client.expect(#"42["all",2]"#)
            }
        }
    }
}
