import NIOCore
import SocketIO
import Synchronization
import TestSupport
import Testing

/// What several servers behind an adapter do, the same whatever the adapter.
@Suite(.timeLimit(.minutes(20))) struct AdapterTests {
    private static let loop = Cluster.loop

    @Test("A broadcast reaches each chosen socket on every node once, in order", arguments: Backend.available)
    func broadcasts(backend: Backend) async throws {
        try await Cluster.with(backend) { cluster in
            var members: [FakeConnection] = []
            for node in cluster.nodes {
                let (one, socket) = try await FakeConnection.join(node, on: Self.loop)
                await socket.join("r", "s")
                members.append(one)
            }
            let (banned, bannedSocket) = try await FakeConnection.join(cluster.nodes[1], on: Self.loop)
            await bannedSocket.join("r", "banned")
            let (outside, _) = try await FakeConnection.join(cluster.nodes[2], on: Self.loop)
            let io = cluster.nodes[0]
            for number in 0..<20 { io.to("r").emit("n", number) }
            io.to("r", "s").except("banned").emit("both")
            io.to("r").local.emit("here")
            io.emit("end")
            for (index, member) in members.enumerated() {
                for number in 0..<20 { #expect(await member.next() == #"42["n",\#(number)]"#) }
                // What is for one room and what is for several may overtake each other: they travel apart.
                #expect(await member.next() == #"42["both"]"#)
                if index == 0 { #expect(await member.next() == #"42["here"]"#) }
                #expect(await member.next() == #"42["end"]"#)
            }
            for number in 0..<20 { #expect(await banned.next() == #"42["n",\#(number)]"#) }
            #expect(await banned.next() == #"42["end"]"#)
            #expect(await outside.next() == #"42["end"]"#)
        }
    }

    @Test("Sockets are joined to rooms, taken out and disconnected on every node", arguments: Backend.available)
    func management(backend: Backend) async throws {
        try await Cluster.with(backend) { cluster in
            let io = cluster.nodes[0]
            var connections: [FakeConnection] = []
            for node in cluster.nodes {
                let (connection, socket) = try await FakeConnection.join(node, on: Self.loop)
                await socket.join("r")
                connections.append(connection)
            }
            io.to("r").socketsJoin("new", "newer")
            // A question goes behind what was said before.
            #expect(await io.to("new", "newer").counts().elements == [3, 3])
            io.to("new").socketsLeave("newer")
            #expect(await io.to("new", "newer", "nobody").counts().elements == [3, 0, 0])
            io.of("/").disconnectSockets()
            for connection in connections { #expect(await connection.next() == "41") }
            #expect(await io.of("/").all.counts().elements == [0])
        }
    }

    @Test("A list of sockets tells of those of all nodes, who can be reached through it", arguments: Backend.available)
    func fetching(backend: Backend) async throws {
        try await Cluster.with(backend) { cluster in
            var ids: Set<String> = []
            var connections: [String: FakeConnection] = [:]
            for (index, node) in cluster.nodes.enumerated() {
                let (connection, socket) = try await FakeConnection.join(node, on: Self.loop)
                await socket.join("r")
                socket.data = ["node": index]
                ids.insert(socket.id)
                connections[socket.id] = connection
                _ = try await FakeConnection.join(node, on: Self.loop)
            }
            let io = cluster.nodes[1]
            let all = await io.fetchSockets()
            #expect(all.count == 6)
            #expect(all.isComplete)
            let list = await io.in("r").fetchSockets()
            #expect(list.isComplete)
            #expect(Set(list.map(\.id)) == ids)
            for socket in list {
                #expect(socket.rooms == ["r", socket.id])
                #expect(try (0..<3).contains(socket.data.decode([String: Int].self)["node"] ?? -1))
                socket.emit("hello", socket.id)
                socket.join("picked")
                #expect(await connections[socket.id]?.next() == #"42["hello","\#(socket.id)"]"#)
            }
            #expect(await io.to("picked").counts().elements == [3])
            #expect(await io.in("r").except("picked").fetchSockets().isEmpty)
            #expect(await io.to("r").local.fetchSockets().count == 1)
            list.first?.disconnect(close: true)
            let rest = await io.in("r").fetchSockets()
            #expect(rest.count == 2)
        }
    }

    @Test("A broadcast gathers the acknowledgements of all nodes' sockets", arguments: Backend.available)
    func acknowledgements(backend: Backend) async throws {
        try await Cluster.with(backend) { cluster in
            var connections: [FakeConnection] = []
            for node in cluster.nodes {
                let (connection, socket) = try await FakeConnection.join(node, on: Self.loop)
                await socket.join("r")
                connections.append(connection)
            }
            let io = cluster.nodes[0]
            async let answers = io.to("r").timeout(.seconds(20)).emitWithAck("sum", 1, as: Int.self)
            for (index, connection) in connections.enumerated() {
                let text = try #require(await connection.next())
                #expect(text.hasSuffix(#"["sum",1]"#))
                let id = text.dropFirst(2).prefix(while: \.isNumber)
                connection.receive("3\(id)[\(index + 10)]")
            }
            let list = await answers
            #expect(list.sorted() == [10, 11, 12])
            #expect(list.isComplete)

            // One that leaves and one that says nothing are counted, and the rest is there in time.
            async let fewer = io.to("r").timeout(.seconds(10)).emitWithAck("again")
            for (index, connection) in connections.enumerated() {
                let text = try #require(await connection.next())
                if index == 1 { connection.receive("1") }
                if index == 2 { connection.receive(#"3\#(text.dropFirst(2).prefix(while: \.isNumber))["x"]"#) }
            }
            let rest = await fewer
            #expect(rest.map(\.string) == [#""x""#])
            #expect(rest.missingSockets == 2)
            #expect(rest.silentNodes == 0)
            #expect(!rest.isComplete)
        }
    }

    @Test(
        "What a node emits for the nodes reaches all others' handlers, and their answers come back",
        arguments: Backend.available
    )
    func serverSide(backend: Backend) async throws {
        let (events, event) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(100))
        try await Cluster.with(
            backend,
            { io in
                io.on(serverSide: "note", inline: { event.yield("\($0[0].string) \($0.arguments.count)") })
                io.on(serverSide: "square") { event in
                    let number = try event.decode(Int.self)
                    return number * number
                }
            }
        ) { cluster in
            cluster.nodes[0].of("/").serverSideEmit("note", "a", 2)
            var iterator = events.makeAsyncIterator()
            for _ in 0..<2 { #expect(await iterator.next(isolation: #isolation) == #""a" 2"#) }
            cluster.nodes[1].of("/").serverSideEmit("note", "b")
            for _ in 0..<2 { #expect(await iterator.next(isolation: #isolation) == #""b" 1"#) }
            let squares = await cluster.nodes[2].of("/").serverSideEmitWithAck("square", 7)
            #expect(squares.map(\.string) == ["49", "49"])
            #expect(squares.isComplete)
            let nothing = await cluster.nodes[2].of("/").serverSideEmitWithAck("nobody listens")
            #expect(nothing.isEmpty && nothing.isComplete)
            let failed = await cluster.nodes[2].of("/").serverSideEmitWithAck("square", "not a number")
            #expect(failed.isEmpty && failed.isComplete)
        }
    }

    @Test(
        "What one node emits for the nodes is handled in its order, and nobody waits for another node's",
        arguments: Backend.available
    )
    func serverSideOrder(backend: Backend) async throws {
        let (handled, handle) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(100))
        var gates: [AsyncStream<Void>.Continuation] = []
        try await Cluster.with(
            backend,
            nodes: 3,
            { io in
                let (opening, gate) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
                gates.append(gate)
                io.on(serverSide: "wait") { (_: ServerSideEvent) async -> Void in
                    for await _ in opening {}
                    handle.yield("waited")
                }
                io.on(serverSide: "next") { (event: ServerSideEvent) async -> Void in handle.yield(event[0].string) }
                io.on(serverSide: "ask") { (_: ServerSideEvent) async -> Int in 1 }
            }
        ) { cluster in
            let (slow, other) = (cluster.nodes[0].of("/"), cluster.nodes[2].of("/"))
            slow.serverSideEmit("wait")
            for number in 0..<3 { slow.serverSideEmit("next", number) }
            // The other node's question is answered meanwhile, by all.
            let answers = await other.serverSideEmitWithAck("ask")
            #expect(answers.count == 2 && answers.isComplete)
            for gate in gates { gate.finish() }
            var seen: [String] = []
            var iterator = handled.makeAsyncIterator()
            for _ in 0..<8 { seen.append(await iterator.next(isolation: #isolation) ?? "") }
            #expect(seen.filter { $0 == "waited" }.count == 2)
            // Each node's own order; the two nodes' are mixed.
            for event in ["0", "1", "2"] { #expect(seen.filter { $0 == event }.count == 2) }
            #expect(seen.first == "waited" && seen.last == "2")
            #expect(seen.firstIndex(of: "1") ?? 0 > seen.firstIndex(of: "0") ?? 9)
        }
    }

    @Test(
        "A node that gets a question and does not answer is waited for until the deadline, and slows nobody else",
        arguments: Backend.available
    )
    func silentNode(backend: Backend) async throws {
        try await Cluster.with(backend, nodes: 2) { cluster in
            let (_, one) = try await FakeConnection.join(cluster.nodes[0], on: Self.loop)
            let (connection, two) = try await FakeConnection.join(cluster.nodes[1], on: Self.loop)
            await one.join("r")
            await two.join("r")
            #expect(await cluster.nodes[0].to("r").counts().isComplete)
            try await cluster.addSilentNode()
            let start = ContinuousClock.now
            async let counts = cluster.nodes[0].to("r").timeout(.seconds(10)).counts()
            async let sockets = cluster.nodes[0].to("r").timeout(.seconds(10)).fetchSockets()
            cluster.nodes[0].to("r").emit("meanwhile")
            #expect(await connection.next() == #"42["meanwhile"]"#)
            let (count, list) = await (counts, sockets)
            #expect(count.elements == [2])
            #expect(count.silentNodes == 1)
            #expect(!count.isComplete)
            #expect(list.count == 2)
            #expect(list.silentNodes == 1)
            #expect(ContinuousClock.now - start >= .seconds(10))
        }
    }

    @Test(
        "A pattern's namespace is one on all nodes, and a node that does not have it is not waited for",
        arguments: Backend.available
    )
    func patterns(backend: Backend) async throws {
        try await Cluster.with(
            backend,
            { io in io.of(/\/tenant-\d+/).onConnection(inline: { $0.joinInline("r") }) }
        ) { cluster in
            let (_, one) = try await FakeConnection.join(cluster.nodes[0], "/tenant-1", on: Self.loop)
            let (connection, two) = try await FakeConnection.join(cluster.nodes[1], "/tenant-1", on: Self.loop)
            await one.join("r")
            await two.join("r")
            let list = await one.namespace.to("r").fetchSockets()
            #expect(list.isComplete)
            // Redis confirms a namespace a moment after its first socket; until then the others do not know of it.
            var count = list.count
            while count < 2 { count = await one.namespace.to("r").fetchSockets().count }
            one.to("r").emit("hi")
            #expect(await connection.next() == #"42/tenant-1,["hi"]"#)
            two.disconnect()
            #expect(await connection.next() == "41/tenant-1,")
        }
    }

    @Test("A volatile emit is dropped for who has unsent bytes, on every node", arguments: Backend.available)
    func volatile(backend: Backend) async throws {
        try await Cluster.with(backend, nodes: 2) { cluster in
            let (near, nearSocket) = try await FakeConnection.join(cluster.nodes[0], on: Self.loop)
            let (far, farSocket) = try await FakeConnection.join(cluster.nodes[1], on: Self.loop)
            for connection in [near, far] { connection.isBusy.store(true, ordering: .relaxed) }
            cluster.nodes[0].volatile.emit("lost")
            nearSocket.volatile.emit("lost too")
            cluster.nodes[0].emit("kept")
            #expect(await near.next() == #"42["kept"]"#)
            #expect(await far.next() == #"42["kept"]"#)
            for connection in [near, far] { connection.isBusy.store(false, ordering: .relaxed) }
            cluster.nodes[0].volatile.emit("now")
            nearSocket.volatile.emit("and now")
            #expect(await near.next() == #"42["now"]"#)
            #expect(await near.next() == #"42["and now"]"#)
            #expect(await far.next() == #"42["now"]"#)
            _ = farSocket
        }
    }
}
