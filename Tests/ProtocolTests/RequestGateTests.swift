import EngineIOServer
import Hummingbird
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Synchronization
import Testing

/// What goes on to the HTTP server, and what its connection refuses.
@Suite(.timeLimit(.minutes(20))) struct RequestGateTests {
    /// Lets so many requests be under way, makes as many wait, and refuses the others.
    private final class Door: Sendable {
        private struct State {
            var (judged, underWay, begun, left) = (0, 0, 0, 0)
            var line: [@Sendable (DirectAnswer?) -> Void] = []
        }

        private let state = Mutex(State())
        private let most: Int
        private let mostInLine: Int

        init(most: Int, inLine: Int = 0) { (self.most, self.mostInLine) = (most, inLine) }

        var underWay: Int { self.state.withLock { $0.underWay } }
        var begun: Int { self.state.withLock { $0.begun } }
        var judged: Int { self.state.withLock { $0.judged } }
        var inLine: Int { self.state.withLock { $0.line.count } }
        /// Of those who waited, and were not refused.
        var left: Int { self.state.withLock { $0.left } }

        private static let refusal = DirectAnswer(
            status: .serviceUnavailable,
            fields: [("Retry-After", "3")],
            body: ByteBuffer(string: "later")
        )

        var gate: RequestGate {
            RequestGate(
                judge: { head in
                    self.state.withLock { $0.judged += 1 }
                    if head.uri.hasPrefix("/free") { return .passes }
                    return self.underWay >= self.most && self.mostInLine == 0 ? .refused(Self.refusal) : .asks
                },
                enter: { _, decided in
                    self.state.withLock { state in
                        if state.underWay < self.most {
                            state.underWay += 1
                            state.begun += 1
                            return .goes { self.state.withLock { $0.underWay -= 1 } }
                        }
                        guard state.line.count < self.mostInLine else { return .refused(Self.refusal) }
                        state.line.append(decided)
                        return .waits { self.state.withLock { $0.left += 1 } }
                    }
                }
            )
        }

        /// Decides about the first in line.
        func decide(letIn: Bool) {
            let first = self.state.withLock { $0.line.removeFirst() }
            first(letIn ? nil : Self.refusal)
        }
    }

    /// A route that answers when it is told to.
    private struct Slow: Sendable {
        /// Bytes of an answer that no kernel keeps.
        static let huge = 20_000_000

        let opened = AsyncStream<Void>.makeStream()

        var router: Router<BasicRequestContext> {
            let router = Router()
            for path in ["slow", "free-slow"] {
                router.on(RouterPath(path), method: .get) { _, _ in
                    for await _ in self.opened.stream { break }
                    return "done"
                }
            }
            for path in ["quick", "free"] { router.on(RouterPath(path), method: .get) { _, _ in "quick" } }
            router.get("huge") { _, _ in String(repeating: "h", count: Self.huge) }
            router.post("large") { request, _ in
                "\(try await request.body.collect(upTo: 200_000).readableBytes)"
            }
            router.post("body") { request, _ in
                String(buffer: try await request.body.collect(upTo: 100))
            }
            return router
        }
    }

    private static func request(_ path: String, method: String = "GET", length: Int? = nil) -> String {
        let field = length.map { "Content-Length: \($0)\r\n" } ?? ""
        return "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(field)\r\n"
    }

    /// Awaits what another connection's loop does; the suite's limit ends it.
    private static func until(_ isSo: () async -> Bool) async throws {
        while !(await isSo()) { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test("Past the bound a connection refuses at once, keeps going, and lets in again when others are done")
    func bound() async throws {
        let (door, slow) = (Door(most: 1), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { busy in
                try await busy.send(Self.request("/slow"))
                try await Self.until { door.underWay == 1 }
                try await RawClient.connect(server.port) { other in
                    try await other.send(Self.request("/quick"))
                    let refused = try await other.answer()
                    #expect(refused.status == 503)
                    #expect(refused.field("Retry-After") == "3")
                    // With a body that nobody reads.
                    try await other.send(Self.request("/body", method: "POST", length: 4) + "four")
                    #expect(try await other.answer().status == 503)
                    try await other.send(Self.request("/free"))
                    #expect(try await other.answer().status == 200)
                    slow.opened.continuation.yield()
                    #expect(try await busy.answer().status == 200)
                    try await Self.until { door.underWay == 0 }
                    try await other.send(Self.request("/quick"))
                    #expect(try await other.answer().status == 200)
                }
            }
            try await Self.until { door.underWay == 0 }
            #expect(door.begun == 2)
        }
    }

    @Test("Half a request takes no place, and a connection that is lost gives its place back")
    func halves() async throws {
        let (door, slow) = (Door(most: 1), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { half in
                try await half.send(Self.request("/body", method: "POST", length: 4) + "fo")
                try await Self.until { door.judged == 1 }
                try await RawClient.connect(server.port) { other in
                    try await other.send(Self.request("/quick"))
                    #expect(try await other.answer().status == 200)
                }
                try await half.send("ur")
                #expect(try await half.answer().status == 200)
            }
            try await RawClient.connect(server.port) { lost in
                try await lost.send(Self.request("/slow"))
                try await Self.until { door.underWay == 1 }
            }
            // Its work goes on until it is done.
            slow.opened.continuation.finish()
            try await Self.until { door.underWay == 0 }
        }
    }

    @Test("Who waits gets their answer when it is their turn, what they sent after it comes after it")
    func line() async throws {
        let (door, slow) = (Door(most: 1, inLine: 2), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { busy in
                try await busy.send(Self.request("/slow"))
                try await Self.until { door.underWay == 1 }
                try await RawClient.connect(server.port) { other in
                    let both = Self.request("/body", method: "POST", length: 4) + "four" + Self.request("/free")
                    try await other.send(both)
                    try await Self.until { door.inLine == 1 }
                    // The next one has not been looked at: a connection has one turn at a time.
                    #expect(door.judged == 2)
                    door.decide(letIn: true)
                    #expect(try await other.answer().text == "four")
                    #expect(try await other.answer().text == "quick")
                    try await Self.until { door.left == 1 }
                    // Refused in line, the connection lives on.
                    try await other.send(Self.request("/quick"))
                    try await Self.until { door.inLine == 1 }
                    door.decide(letIn: false)
                    #expect(try await other.answer().status == 503)
                    try await other.send(Self.request("/free"))
                    #expect(try await other.answer().status == 200)
                }
                slow.opened.continuation.yield()
                #expect(try await busy.answer().status == 200)
            }
        }
    }

    @Test("Who goes away or talks nonsense in line leaves it, and nothing is done for them", arguments: [true, false])
    func leavingTheLine(goes: Bool) async throws {
        let (door, slow) = (Door(most: 0, inLine: 1), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { lost in
                try await lost.send(Self.request("/quick"))
                try await Self.until { door.inLine == 1 }
                if goes { lost.finish() } else { try await lost.send("\u{1}\r\n\r\n") }
                #expect(try await lost.rest() == "")
            }
            try await Self.until { door.left == 1 }
            door.decide(letIn: true)
        }
    }

    @Test(
        "A connection has one turn at a time, however much it sends at once and whatever in front, and answers in order",
        arguments: ["/slow", "/free-slow"]
    )
    func pipelined(front: String) async throws {
        let (door, slow) = (Door(most: 2), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { client in
                let body = Self.request("/body", method: "POST", length: 4) + "four"
                try await client.send(Self.request(front) + Self.request("/quick") + body + Self.request("/free"))
                try await Self.until { door.judged == 1 }
                // A second one would have been judged in the same turn of the loop.
                try await RawClient.connect(server.port) { other in
                    try await other.send(Self.request("/quick"))
                    #expect(try await other.answer().status == 200)
                }
                #expect(door.judged == 2)
                slow.opened.continuation.yield()
                var texts: [String] = []
                for _ in 1...4 { texts.append(try await client.answer().text) }
                #expect(texts == ["done", "quick", "four", "quick"])
                try await Self.until { door.underWay == 0 }
                #expect(door.begun == (front == "/slow" ? 4 : 3))
            }
        }
    }

    @Test("Who takes no answer keeps no turn, and gets no further one")
    func unread() async throws {
        let (door, slow) = (Door(most: 1), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port, receiveBuffer: 4_096) { deaf in
                // More than the kernels keep for both ends.
                for _ in 1...3 { try await deaf.send(Self.request("/huge")) }
                try await Self.until { door.begun == 1 && door.underWay == 0 }
                try await RawClient.connect(server.port) { other in
                    for _ in 1...3 {
                        try await other.send(Self.request("/quick"))
                        #expect(try await other.answer().status == 200)
                    }
                }
                try await Self.until { door.underWay == 0 }
                #expect(door.begun == 4)
                // All come to who reads at last.
                for _ in 1...3 { #expect(try await deaf.answer().body.count == Slow.huge) }
            }
        }
    }

    @Test("What follows requests that wait for their turn comes after them: the end, and what is no HTTP")
    func trailing() async throws {
        let (door, slow) = (Door(most: 2), Slow())
        let nonsense = "\u{1}\r\n\r\n"
        let half = "POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            for (next, texts) in [("", ["quick"]), (nonsense, ["quick"]), (half, [])] {
                let begun = door.begun
                try await RawClient.connect(server.port) { client in
                    let second = texts.isEmpty ? "" : Self.request("/quick")
                    try await client.send(Self.request("/slow") + second + next)
                    if next.isEmpty { client.finish() }
                    try await Self.until { door.begun == begun + 1 }
                    slow.opened.continuation.yield()
                    #expect(try await client.answer().text == "done")
                    for text in texts { #expect(try await client.answer().text == text) }
                    let rest = try await client.rest()
                    #expect(next.isEmpty ? rest == "" : rest.contains(" 400 "))
                }
            }
        }
    }

    @Test("What is no HTTP any more in a request's body is told to the client")
    func brokenBody() async throws {
        let (door, slow) = (Door(most: 2), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { client in
                try await client.send(
                    "POST /body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
                )
                #expect(try await client.answer().status == 400)
            }
            #expect(door.begun == 0)
        }
    }

    @Test("A body that is larger than what is kept goes on without a turn")
    func large() async throws {
        let (door, slow) = (Door(most: 0, inLine: 1), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { large in
                try await large.send(Self.request("/large", method: "POST", length: 100_000))
                try await large.send(String(repeating: "x", count: 100_000))
                #expect(try await large.answer().text == "100000")
            }
            #expect(door.inLine == 0)
        }
    }

    @Test("A server that leaves answers those in line first")
    func leaving() async throws {
        let (door, slow) = (Door(most: 0, inLine: 2), Slow())
        try await TestServer.with(gate: door.gate, router: slow.router, { _ in }) { server in
            try await RawClient.connect(server.port) { first in
                try await RawClient.connect(server.port) { second in
                    for client in [first, second] { try await client.send(Self.request("/quick")) }
                    try await Self.until { door.inLine == 2 }
                    await server.group.triggerGracefulShutdown()
                    // Once nobody new is let in, all connections have been told.
                    try await Self.until { await !Self.isListening(server.port) }
                    door.decide(letIn: true)
                    door.decide(letIn: false)
                    let statuses = try await [first.answer().status, second.answer().status]
                    #expect(statuses.sorted() == [200, 503])
                }
            }
        }
    }

    private static func isListening(_ port: Int) async -> Bool {
        (try? await RawClient.connect(port) { _ in true }) ?? false
    }
}
