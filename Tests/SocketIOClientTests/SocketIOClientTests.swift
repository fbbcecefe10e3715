import EngineIO
import NIOCore
import NIOPosix
import SocketIO
import SocketIOClient
import Testing

@Suite(.timeLimit(.minutes(20))) struct SocketIOClientTests {
    private static func install(_ io: SocketIOServer) {
        let main = io.of("/")
        main.on("echo", inline: { _, event in event.ack(event.arguments.first ?? .null) })
        main.on("mute", inline: { _, _ in })
        main.on("say", inline: { socket, event in socket.emit("said", arguments: event.arguments) })
        main.on("bytes", inline: { socket, _ in socket.emit("bytes", RawJSON(binary: ByteBuffer(string: "abc"))) })
        main.on("out", inline: { socket, _ in socket.disconnect() })
        let guarded = io.of("/guarded")
        guarded.use { socket in
            guard socket.handshake.auth.string == #"{"token":"good"}"# else {
                throw ConnectError(message: "Authentication required", data: ["code": "UNAUTHENTICATED"])
            }
        }
    }

    @Test("A client connects, calls and hears events in order")
    func talks() async throws {
        try await LiveServer.with(Self.install) { port in
            let client = try await TestClient(port).connected()
            let answer = try await client.call("echo", [RawJSON(trusted: #"{"a":[1,"ü"]}"#)])
            #expect(try answer.get().map(\.string) == [#"{"a":[1,"ü"]}"#])
            try await client.run { client in
                for number in 0..<50 { client.emit("say", [RawJSON(trusted: "\(number)")]) }
            }
            for number in 0..<50 {
                let told1 = await client.next()
                guard case .event("said", let arguments) = told1 else { throw Unexpected(told1) }
                #expect(arguments.map(\.string) == ["\(number)"])
            }
            try await client.run { $0.disconnect() }
        }
    }

    @Test("A message of 200 KiB arrives whole")
    func longMessage() async throws {
        try await LiveServer.with(engine: { $0.maxPayload = 1024 * 1024 }, Self.install) { port in
            let client = try await TestClient(port).connected()
            let text = "\"" + String(repeating: "x", count: 200 * 1024) + "\""
            let answer = try await client.call("echo", [RawJSON(trusted: text)])
            #expect(try answer.get().first?.string == text)
            try await client.run { $0.disconnect() }
        }
    }

    @Test("The handshake's auth reaches the server; a refusal tells message and data and is not tried again")
    func auth() async throws {
        try await LiveServer.with(Self.install) { port in
            let stranger = try TestClient(port) { $0.namespace = "/guarded" }
            try await stranger.run { $0.connect() }
            let told2 = await stranger.next()
            guard case .refused(let error) = told2 else { throw Unexpected(told2) }
            #expect(error.message == "Authentication required")
            #expect(error.data?.string == #"{"code":"UNAUTHENTICATED"}"#)
            let guest = try TestClient(port) {
                $0.namespace = "/guarded"
                $0.auth = RawJSON(trusted: #"{"token":"good"}"#)
            }
            try await guest.run { $0.connect() }
            let told3 = await guest.next()
            guard case .connected(let id) = told3 else { throw Unexpected(told3) }
            #expect(id.count == 20)
            try await guest.run { $0.disconnect() }
        }
    }

    @Test("An acknowledgement that does not come fails after its time, and when the connection goes")
    func unanswered() async throws {
        try await LiveServer.with(Self.install) { port in
            let client = try await TestClient(port) { $0.reconnects = false }.connected()
            let late = try await client.call("mute", timeout: .milliseconds(20))
            #expect(late == .failure(.timeout))
            let promise = client.client.eventLoop.makePromise(of: AckFailure?.self)
            try await client.run { client in
                client.emit("mute", [], timeout: .seconds(60)) {
                    if case .failure(let failure) = $0 { promise.succeed(failure) } else { promise.succeed(nil) }
                }
                client.cut()
            }
            #expect(try await promise.futureResult.get() == .disconnected)
            let refused = try await client.call("echo")
            #expect(refused == .failure(.notConnected))
        }
    }

    @Test("Pings are answered: a client outlives many heartbeats")
    func heartbeat() async throws {
        let quick: (inout EngineConfiguration) -> Void = {
            $0.pingInterval = .milliseconds(50)
            $0.pingTimeout = .seconds(30)
        }
        try await LiveServer.with(engine: quick, Self.install) { port in
            let client = try await TestClient(port) { $0.reconnects = false }.connected()
            // Pings come in order with answers: each of these calls lies behind some of them.
            for _ in 0..<10 {
                _ = try await client.call("mute", timeout: .milliseconds(60))
            }
            let answer = try await client.call("echo", [RawJSON(trusted: "1")])
            #expect(try answer.get().map(\.string) == ["1"])
            try await client.run { $0.disconnect() }
        }
    }

    @Test("Who is disconnected by the server hears it and does not come back by itself")
    func disconnectedByServer() async throws {
        try await LiveServer.with(Self.install) { port in
            let client = try await TestClient(port).connected()
            try await client.run { $0.emit("out", []) }
            let told4 = await client.next()
            guard case .disconnected(.byServer) = told4 else { throw Unexpected(told4) }
            let connected = try await client.client.eventLoop.submit { [client = client.client] in
                client.connect()
                return client.isConnected
            }.get()
            #expect(!connected)
            let told5 = await client.next()
            guard case .connected = told5 else { throw Unexpected(told5) }
            try await client.run { $0.disconnect() }
        }
    }

    @Test("A binary message is refused by leaving")
    func binary() async throws {
        try await LiveServer.with(Self.install) { port in
            let client = try await TestClient(port) { $0.reconnects = false }.connected()
            try await client.run { $0.emit("bytes", []) }
            let told6 = await client.next()
            guard case .disconnected(.failed(let reason)) = told6 else { throw Unexpected(told6) }
            #expect(reason.contains("binary"))
        }
    }

    @Test("A client whose server goes away tries again until it is back")
    func reconnects() async throws {
        // The port of a server that has gone. Below those that the kernel hands out: nobody else gets it meanwhile.
        var port = 0
        repeat {
            port = Int.random(in: 10_000..<30_000)
        } while (try? await LiveServer.with(port: port, Self.install) { _ in }) == nil
        let client = try TestClient(port)
        try await client.run { $0.connect() }
        var attempts = 0
        while attempts < 3 {
            if case .reconnecting(let attempt, _) = await client.next() { attempts = attempt }
        }
        let mailbox = Handover(client)
        try await LiveServer.with(port: port, Self.install) { _ in
            _ = try await mailbox.client.connected()
            let answer = try await mailbox.client.call("echo", [RawJSON(trusted: "7")])
            #expect(try answer.get().map(\.string) == ["7"])
        }
        // The server has gone again: the loss is told, then the next attempt.
        guard case .disconnected = await client.next(), case .reconnecting = await client.next() else {
            throw Unexpected(nil)
        }
        try await client.run { $0.disconnect() }
    }

    @Test("A server that is cancelled takes its connections along, and what waits on its loops is done without harm")
    func cancelledServers() async throws {
        // Now and then a server ended before its connection was known to it, and another with work still queued.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<25 {
                        let (clients, handOver) = AsyncStream<Handover>.makeStream()
                        try await LiveServer.with(Self.install) { port in
                            handOver.yield(Handover(try await TestClient(port) { $0.reconnects = false }.connected()))
                        }
                        var iterator = clients.makeAsyncIterator()
                        let client = try #require(await iterator.next(isolation: #isolation)).client
                        let last = await client.next()
                        guard case .disconnected = last else { throw Unexpected(last) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("A server of something else is an error with its status, not a crash")
    func noSocketIO() async throws {
        try await LiveServer.with(
            engine: { $0.allowRequest = { _ in .init(status: 503, message: "full") } },
            Self.install
        ) {
            port in
            let client = try TestClient(port) { $0.reconnects = false }
            try await client.run { $0.connect() }
            let told7 = await client.next()
            guard case .disconnected(.failed(let reason)) = told7 else { throw Unexpected(told7) }
            #expect(reason.contains("503"))
        }
    }

    @Test("Five hundred clients of one process all hear a broadcast")
    func crowd() async throws {
        let install: @Sendable (SocketIOServer) -> Void = { io in
            io.of("/").on("go", inline: { socket, _ in socket.namespace.emit("went", 1) })
        }
        try await LiveServer.with(install) { port in
            var clients: [TestClient] = []
            for _ in 0..<500 { clients.append(try await TestClient(port).connected()) }
            try await clients[0].run { $0.emit("go", []) }
            for client in clients {
                let told8 = await client.next()
                guard case .event("went", _) = told8 else { throw Unexpected(told8) }
                try await client.run { $0.disconnect() }
            }
        }
    }
}

/// Another event than the one that had to come.
private struct Unexpected: Error {
    let event: ClientEvent?
    init(_ event: ClientEvent?) { self.event = event }
}

/// Lent to the server's closure while the test itself waits for it.
private struct Handover: @unchecked Sendable {
    let client: TestClient
    init(_ client: TestClient) { self.client = client }
}
