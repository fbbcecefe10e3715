import EngineIOServer
import HoldfastCore
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import Gateway

@Suite struct LoadGuardTests {
    private final class TestClock: Sendable {
        let now = Mutex(ContinuousClock.now)
        func advance(_ time: Duration) { now.withLock { $0 += time } }
    }

    private let clock = TestClock()

    private func guarded(_ most: Int, rush: Int = 8, origins: Set<String> = []) -> LoadGuard {
        LoadGuard(
            .init(most: most, rush: rush),
            origins: OriginPolicy(allowed: origins),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next()
        ) { [clock] in clock.now.withLock { $0 } }
    }

    private func head(_ target: String, _ fields: [(String, String)] = []) -> HTTPRequestHead {
        HTTPRequestHead(version: .http1_1, method: .POST, uri: target, headers: HTTPHeaders(fields))
    }

    private func refusal(_ verdict: RequestGate.Verdict) -> DirectAnswer? {
        if case .refused(let answer) = verdict { answer } else { nil }
    }

    /// Of somebody whose turn it is at once.
    private func leave(_ entrance: RequestGate.Entrance) throws -> RequestGate.Leave {
        guard case .goes(let leave) = entrance else { throw NotAtOnce() }
        return leave
    }

    private struct NotAtOnce: Error {}

    /// Makes everybody else wait and then lets the line last.
    private func crowd(_ load: LoadGuard, waiting: Int) throws {
        _ = try leave(load.gate.enter(head("/api/events")) { _ in })
        for _ in 0..<waiting { _ = load.gate.enter(head("/api/events")) { _ in } }
        clock.advance(.milliseconds(500))
    }

    @Test("Arrivals and buyers are refused when there is too much; sign-in, payments and health never")
    func order() throws {
        let load = guarded(1)
        func isRefused(_ target: String) -> Bool { refusal(load.gate.judge(head(target))) != nil }
        let arrivals = ["/api/queue/check/e", "/api/events/e/seats?format=compact", "/", "/api/events"]
        let sale = ["/api/seats/lock", "/api/reservations", "/api/reservations/my"]
        let exempt = [
            "/api/auth/login", "/api/payments/process", "/health/ready", "/metrics", "/api/admin/events",
            "/oauth/token",
        ]
        #expect(!(arrivals + sale + exempt).contains(where: isRefused))
        try crowd(load, waiting: 1)
        #expect((arrivals + sale).allSatisfy(isRefused))
        #expect(!exempt.contains(where: isRefused))
    }

    @Test("Requests in line go on when it is their turn, or are told that they have waited for too long")
    func turns() throws {
        let load = guarded(1)
        let told = Mutex<[String]>([])
        func wait(_ name: String) throws -> RequestGate.Leave {
            let entrance = load.gate.enter(head("/api/events")) { refusal in
                told.withLock { $0.append("\(name) \(refusal.map { "\($0.status.code)" } ?? "goes")") }
            }
            guard case .waits(let leave) = entrance else { throw NotAtOnce() }
            return leave
        }
        let working = try leave(load.gate.enter(head("/api/events")) { _ in })
        let first = try wait("first")
        let lost = try wait("lost")
        _ = try wait("late")
        working()
        #expect(told.withLock { $0 } == ["first goes"])
        lost()
        clock.advance(.seconds(6))
        first()
        #expect(told.withLock { $0 } == ["first goes", "late 503"])
    }

    @Test("A refusal is 503 with a moment to come back, and a page of an allowed origin may read it")
    func answer() throws {
        let load = guarded(1, origins: ["https://shop.example"])
        let gate = load.gate
        try crowd(load, waiting: 1)
        let fields = [("Host", "tickets.example"), ("Origin", "https://shop.example")]
        let answer = try #require(refusal(gate.judge(head("/api/events", fields))))
        let headers = HTTPHeaders(answer.fields.map { ($0.name, $0.value) })
        #expect(answer.status == .serviceUnavailable)
        #expect(headers["Content-Type"] == ["application/problem+json"])
        #expect(headers["Access-Control-Allow-Origin"] == ["https://shop.example"])
        #expect(headers["Access-Control-Expose-Headers"] == ["Retry-After"])
        let seconds = try #require(headers.first(name: "Retry-After").flatMap { Int($0) })
        #expect((1...5).contains(seconds))
        let body = String(buffer: answer.body)
        #expect(body.contains(#""code":"UNAVAILABLE""#))
        #expect(body.contains(#""nextStep":"#))
        let foreign = try #require(refusal(gate.judge(head("/api/events", [("Origin", "https://bad.example")]))))
        #expect(!foreign.fields.contains { $0.name.hasPrefix("Access-Control") })
    }

    @Test("Events of sockets count with requests, are refused with a moment to come back, and leave their place")
    func events() async throws {
        let load = guarded(1)
        let answered = try await load.through(.sale) {
            _ = load.gate.enter(head("/api/events")) { _ in }
            clock.advance(.milliseconds(500))
            #expect(load.isFull)
            let problem = await #expect(throws: Problem.self) { try await load.through(.arrival) {} }
            #expect(problem?.code == .unavailable)
            #expect((1...5).contains(problem?.retryAfterSeconds ?? 0))
            return try await load.through(.exempt) { "bought" }
        }
        #expect(answered == "bought")
    }

    @Test("An event waits for its turn, and one that failed leaves its place as well")
    func eventsInTurn() async throws {
        let load = guarded(1, rush: 2)
        let (entered, release) = (AsyncStream<Void>.makeStream(), AsyncStream<Void>.makeStream())
        async let first: Void = load.through(.arrival) {
            entered.continuation.finish()
            for await _ in release.stream {}
            throw CancellationError()
        }
        for await _ in entered.stream {}
        async let second = load.through(.arrival) { "second" }
        while !load.isFull { await Task.yield() }
        release.continuation.finish()
        do {
            try await first
            Issue.record("It did not fail.")
        } catch {
            #expect(error is CancellationError)
        }
        let answer = try await second
        #expect(answer == "second")
        let third = try await load.through(.arrival) { "third" }
        #expect(third == "third")
    }

    @Test("When nothing is done at all, those in line are told after five seconds")
    func stalled() async throws {
        let load = guarded(1)
        _ = try leave(load.gate.enter(head("/api/events")) { _ in })
        let told = AsyncStream<Int?>.makeStream()
        _ = load.gate.enter(head("/api/events")) { refusal in
            told.continuation.yield(refusal.map { Int($0.status.code) })
            told.continuation.finish()
        }
        clock.advance(.seconds(6))
        for await status in told.stream { #expect(status == 503) }
    }
}
