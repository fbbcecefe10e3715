import EngineIOServer
import Hummingbird
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

/// What goes on to the HTTP server, and what its connection refuses.
@Suite(.timeLimit(.minutes(20))) struct RequestGateTests {
    /// Lets so many requests be under way.
    private final class Door: Sendable {
        let state = Mutex((judged: 0, underWay: 0, begun: 0))
        let most: Int
        init(most: Int) { self.most = most }

        var underWay: Int { self.state.withLock { $0.underWay } }
        var begun: Int { self.state.withLock { $0.begun } }
        var judged: Int { self.state.withLock { $0.judged } }

        var gate: RequestGate {
            RequestGate(
                judge: { head in
                    self.state.withLock { $0.judged += 1 }
                    if head.uri == "/free" { return .uncounted }
                    guard self.underWay >= self.most else { return .counted }
                    let fields = [("Retry-After", "3")]
                    return .refused(
                        DirectAnswer(status: .serviceUnavailable, fields: fields, body: ByteBuffer(string: "later"))
                    )
                },
                begin: {
                    self.state.withLock {
                        $0.underWay += 1
                        $0.begun += 1
                    }
                },
                end: { self.state.withLock { $0.underWay -= 1 } }
            )
        }
    }

    /// A route that answers when it is told to.
    private struct Slow: Sendable {
        let opened = AsyncStream<Void>.makeStream()

        var router: Router<BasicRequestContext> {
            let router = Router()
            router.get("slow") { _, _ in
                for await _ in self.opened.stream { break }
                return "done"
            }
            for path in ["quick", "free"] { router.on(RouterPath(path), method: .get) { _, _ in "quick" } }
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
    private static func until(_ isSo: () -> Bool) async throws {
        while !isSo() { try await Task.sleep(for: .milliseconds(2)) }
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
}
