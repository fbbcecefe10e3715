import EngineIOServer
import HoldfastCore
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import Gateway

@Suite struct LoadGuardTests {
    private final class TestClock: Sendable {
        let now = Mutex(ContinuousClock.now)
        func advance(_ time: Duration) { now.withLock { $0 += time } }
    }

    private let clock = TestClock()

    private func guarded(_ most: Int, origins: Set<String> = []) -> LoadGuard {
        LoadGuard(most: most, origins: OriginPolicy(allowed: origins)) { [clock] in clock.now.withLock { $0 } }
    }

    /// Whatever is under way has been for long.
    private func wait() { clock.advance(LoadGuard.patience) }

    private func head(_ target: String, _ fields: [(String, String)] = []) -> HTTPRequestHead {
        HTTPRequestHead(version: .http1_1, method: .POST, uri: target, headers: HTTPHeaders(fields))
    }

    private func refusal(_ verdict: RequestGate.Verdict) -> DirectAnswer? {
        if case .refused(let answer) = verdict { answer } else { nil }
    }

    @Test("Past the bound arrivals are refused, buyers at twice the bound, and sign-in and health never")
    func order() {
        let gate = guarded(2).gate
        func isRefused(_ target: String) -> Bool { refusal(gate.judge(head(target))) != nil }
        let arrivals = ["/api/queue/check/e", "/api/events/e/seats?format=compact", "/", "/api/events"]
        let sale = ["/api/seats/lock", "/api/reservations", "/api/reservations/my", "/api/payments/process"]
        let exempt = ["/api/auth/login", "/health/ready", "/metrics", "/api/admin/events", "/oauth/token"]
        #expect(!(arrivals + sale + exempt).contains(where: isRefused))
        gate.begin()
        #expect(!(arrivals + sale + exempt).contains(where: isRefused))
        gate.begin()
        wait()
        #expect(arrivals.allSatisfy(isRefused))
        #expect(!(sale + exempt).contains(where: isRefused))
        for _ in 1...2 { gate.begin() }
        #expect((arrivals + sale).allSatisfy(isRefused))
        #expect(!exempt.contains(where: isRefused))
        for _ in 1...4 { gate.end() }
        #expect(!(arrivals + sale + exempt).contains(where: isRefused))
    }

    @Test("A refusal is 503 with a moment to come back, and a page of an allowed origin may read it")
    func answer() throws {
        let gate = guarded(1, origins: ["https://shop.example"]).gate
        gate.begin()
        wait()
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
        let answered = try await load.through(.arrival) {
            wait()
            #expect(load.isFull)
            #expect(refusal(load.gate.judge(head("/api/events"))) != nil)
            let problem = await #expect(throws: Problem.self) { try await load.through(.arrival) {} }
            #expect(problem?.code == .unavailable)
            #expect((1...5).contains(problem?.retryAfterSeconds ?? 0))
            return try await load.through(.sale) { try await load.through(.exempt) { "bought" } }
        }
        #expect(answered == "bought")
        #expect(!load.isFull)
        await #expect(throws: CancellationError.self) { try await load.through(.arrival) { throw CancellationError() } }
        #expect(!load.isFull)
    }

    @Test("A rush that is over soon is refused nothing, and a bound holds for it all the same")
    func rush() {
        let load = guarded(4)
        let gate = load.gate
        for _ in 1..<(4 * LoadGuard.rush) { gate.begin() }
        #expect(!load.isFull)
        gate.begin()
        #expect(load.isFull)
        #expect(refusal(gate.judge(head("/api/seats/lock"))) == nil)
        for _ in 1...(4 * LoadGuard.rush - 3) { gate.end() }
        wait()
        gate.begin()
        #expect(!load.isFull)
    }

    @Test("Once it refuses it goes on at the bound, until half of the work is done")
    func steady() {
        let load = guarded(4)
        let gate = load.gate
        for _ in 1...4 { gate.begin() }
        wait()
        #expect(load.isFull)
        gate.end()
        #expect(!load.isFull)
        gate.begin()
        #expect(load.isFull)
        for _ in 1...2 { gate.end() }
        for _ in 1...2 { gate.begin() }
        #expect(!load.isFull)
        for _ in 1...4 { gate.end() }
        wait()
        #expect(!load.isFull)
    }
}
