import EngineIOServer
import HoldfastCore
import Hummingbird
import Metrics
import NIOCore
import NIOHTTP1
import Synchronization

/// How much an instance works on at once: requests and events of sockets together.
///
/// Past what it can do, more work only makes everybody wait until they give up, and then all of it was for nothing. So a
/// few hundred are worked for at a time, others stand in line, and when the line is too long, whoever comes is refused at
/// once with 503 and a moment to come back, before anything is done for them. ``WorkLine`` has the rules.
///
/// - Bounds: `MAX_REQUESTS_IN_FLIGHT` at work and in line, 512 of them at work; ``WorkLine/Bounds`` says when fewer or more.
final class LoadGuard: Sendable {
    enum Kind {
        case arrival
        case sale
        /// Never refused here and takes no place: sign-in, which has lines of its own (limits.md), payments, which wait for
        /// somebody else, administration, health, leaving.
        case exempt

        fileprivate var inLine: WorkLine.Kind? {
            switch self {
            case .arrival: .arrival
            case .sale: .sale
            case .exempt: nil
            }
        }
    }

    private typealias Decided = @Sendable (WorkLine.ID?) -> Void

    private struct State {
        var line: WorkLine
        /// Told their own id when it is their turn, nil when they have waited in vain.
        var waiting: [WorkLine.ID: Decided] = [:]
        var isTicking = false
    }

    private let eventLoop: any EventLoop
    private let origins: OriginPolicy
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state: Mutex<State>
    private let refusedRequests = Counter(label: "holdfast_overload_refusals_total", dimensions: [("of", "request")])
    private let refusedEvents = Counter(label: "holdfast_overload_refusals_total", dimensions: [("of", "event")])
    private let working = Meter(label: "holdfast_work_in_flight")
    private let inLine = Meter(label: "holdfast_work_waiting")

    /// - Parameters:
    ///   - eventLoop: keeps the time for those in line.
    ///   - now: only tests give another clock.
    init(
        _ bounds: WorkLine.Bounds,
        origins: OriginPolicy,
        eventLoop: any EventLoop,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        (self.origins, self.eventLoop, self.now) = (origins, eventLoop, now)
        state = Mutex(State(line: WorkLine(bounds)))
    }

    /// Whether there is too much to do for somebody new.
    var isFull: Bool { isFull(.arrival) }

    private func isFull(_ kind: WorkLine.Kind) -> Bool {
        state.withLock { $0.line.isFull(kind, now: now()) }
    }

    // MARK: The line

    private func enter(_ kind: WorkLine.Kind, decided: @escaping Decided) -> WorkLine.Entrance {
        state.withLock { state in
            let entrance = state.line.enter(kind, now: now())
            report(state.line)
            guard case .waits(let id) = entrance else { return entrance }
            state.waiting[id] = decided
            if !state.isTicking {
                state.isTicking = true
                tickLater()
            }
            return entrance
        }
    }

    private func leave(_ id: WorkLine.ID) {
        change { state in
            state.waiting[id] = nil
            return state.line.leave(id, now: now())
        }
    }

    private func tickLater() {
        eventLoop.scheduleTask(in: .milliseconds(250)) { self.tick() }
    }

    private func tick() {
        change { state in
            let turns = state.line.tick(now: now())
            state.isTicking = state.line.waiting > 0
            if state.isTicking { tickLater() }
            return turns
        }
    }

    private func change(_ event: (inout State) -> [WorkLine.Turn]) {
        let decisions = state.withLock { state in
            let turns = event(&state)
            report(state.line)
            return turns.map { turn -> (Decided?, WorkLine.ID?) in
                switch turn {
                case .works(let id): (state.waiting.removeValue(forKey: id), id)
                case .refused(let id): (state.waiting.removeValue(forKey: id), nil)
                }
            }
        }
        for (decided, id) in decisions { decided?(id) }
    }

    private func report(_ line: WorkLine) {
        working.set(line.working)
        inLine.set(line.waiting)
    }

    // MARK: Requests

    var gate: RequestGate {
        RequestGate(
            judge: { head in
                guard let kind = Self.kind(of: head.uri).inLine else { return .passes }
                return self.isFull(kind) ? .refused(self.refusal(of: head)) : .asks
            },
            enter: { head, decided in
                guard let kind = Self.kind(of: head.uri).inLine else { return .goes {} }
                let entrance = self.enter(kind) { decided($0 == nil ? self.refusal(of: head) : nil) }
                return switch entrance {
                case .works(let id): .goes { self.leave(id) }
                case .waits(let id): .waits { self.leave(id) }
                case .refused: .refused(self.refusal(of: head))
                }
            }
        )
    }

    private static let sale = ["/api/seats/", "/api/reservations"]
    private static let exempt = [
        "/api/auth/", "/api/v1/", "/api/session/", "/oauth/", "/health", "/metrics", "/api/admin/", "/api/queue/admin/",
        "/api/queue/leave/", "/api/payments/",
    ]

    static func kind(of target: String) -> Kind {
        if sale.contains(where: { target.hasPrefix($0) }) { return .sale }
        return exempt.contains { target.hasPrefix($0) } ? .exempt : .arrival
    }

    private func refusal(of head: HTTPRequestHead) -> DirectAnswer {
        refusedRequests.increment()
        let problem = Self.problem()
        RefusalMetrics.shared.refused(problem.code)
        var answer = Self.refusals[(problem.retryAfterSeconds ?? 1) - 1]
        guard let origin = head.headers.first(name: "origin") else { return answer }
        answer.fields.append(("Vary", "Origin"))
        if origins.allows(origin, host: head.headers.first(name: "host")) {
            answer.fields += [
                ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"),
                ("Access-Control-Expose-Headers", "Retry-After"),
            ]
        }
        return answer
    }

    /// Not all at the same moment again.
    private static let pauses = 1...5

    /// The answer for each of ``pauses``, made once.
    private static let refusals = pauses.map { seconds in
        let problem = problem(after: seconds)
        return DirectAnswer(problem, body: Response.encoded(ProblemBody(problem)))
    }

    private static func problem(after seconds: Int = Int.random(in: pauses)) -> Problem {
        Problem(
            .unavailable,
            "More is asked of the service than it can do at this moment. Please try again shortly.",
            retryAfterSeconds: seconds
        )
    }

    // MARK: Events of sockets

    func through<Result>(_ kind: Kind, _ body: () async throws -> Result) async throws -> Result {
        guard let kind = kind.inLine else { return try await body() }
        guard let id = await turn(kind) else {
            refusedEvents.increment()
            throw Self.problem()
        }
        defer { leave(id) }
        return try await body()
    }

    /// Nil if there is too much to do.
    private func turn(_ kind: WorkLine.Kind) async -> WorkLine.ID? {
        await withCheckedContinuation { continuation in
            switch enter(kind, decided: { continuation.resume(returning: $0) }) {
            case .works(let id): continuation.resume(returning: id)
            case .waits: break
            case .refused: continuation.resume(returning: nil)
            }
        }
    }
}
