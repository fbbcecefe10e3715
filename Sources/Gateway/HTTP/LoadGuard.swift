import EngineIOServer
import HoldfastCore
import Hummingbird
import Metrics
import NIOCore
import NIOHTTP1
import Synchronization

/// How much an instance works on at once: requests and events of sockets together.
///
/// Past what it can do, more work only makes everybody wait until they give up, and then all of it was for nothing. So
/// when more than the bound has been under way for ``patience``, what comes past it is refused at once with 503 and a
/// moment to come back, before anything is done for it. A rush that is over sooner, such as thousands who are let in at one
/// moment, is only a short wait. Those who come are refused first; those who choose seats or pay go on for as much again.
///
/// - Bounds: `most` under way (`MAX_REQUESTS_IN_FLIGHT`), twice that for seats, orders and payments; in a rush
///   ``rush`` times as many. At 2,000 requests a second 4,096 under way are two seconds.
final class LoadGuard: Sendable {
    enum Kind {
        /// Looks, joins, and all that is nothing else.
        case arrival
        /// Seats, orders, payments: what people were let in for.
        case sale
        /// Sign-in, which has lines of its own (limits.md), administration, health, leaving: never refused here.
        case exempt
    }

    static let patience = Duration.milliseconds(500)
    static let rush = 8

    private struct State {
        var underWay = 0
        /// Since when `most` or more have been under way.
        var crowdedSince: ContinuousClock.Instant?
        /// From ``patience`` after that until less than half is under way.
        var isRefusing = false
    }

    let most: Int
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())
    private let origins: OriginPolicy
    private let refusedRequests = Counter(label: "holdfast_overload_refusals_total", dimensions: [("of", "request")])
    private let refusedEvents = Counter(label: "holdfast_overload_refusals_total", dimensions: [("of", "event")])
    private let meter = Meter(label: "holdfast_work_in_flight")

    /// - Parameter now: only tests give another clock.
    init(most: Int, origins: OriginPolicy, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        (self.most, self.origins, self.now) = (most, origins, now)
    }

    /// Whether there is too much to do for somebody new.
    var isFull: Bool { isFull(.arrival) }

    private func isFull(_ kind: Kind) -> Bool {
        guard kind != .exempt else { return false }
        let bound = kind == .sale ? 2 * most : most
        return state.withLock { state in
            guard state.underWay >= bound else { return false }
            if !state.isRefusing, let since = state.crowdedSince, now() - since >= Self.patience {
                state.isRefusing = true
            }
            return state.isRefusing || state.underWay >= Self.rush * bound
        }
    }

    private func begin() {
        state.withLock { state in
            state.underWay += 1
            if state.underWay >= most, state.crowdedSince == nil { state.crowdedSince = now() }
        }
        meter.increment()
    }

    private func end() {
        state.withLock { state in
            state.underWay -= 1
            if state.underWay < most, !state.isRefusing { state.crowdedSince = nil }
            if state.underWay <= most / 2 { (state.isRefusing, state.crowdedSince) = (false, nil) }
        }
        meter.decrement()
    }

    // MARK: Requests

    var gate: RequestGate {
        RequestGate(
            judge: { head in
                let kind = Self.kind(of: head.uri)
                if kind == .exempt { return .uncounted }
                return self.isFull(kind) ? .refused(self.refusal(of: head)) : .counted
            },
            begin: { self.begin() },
            end: { self.end() }
        )
    }

    private static let sale = ["/api/seats/", "/api/reservations", "/api/payments/"]
    private static let exempt = [
        "/api/auth/", "/api/v1/", "/api/session/", "/oauth/", "/health", "/metrics", "/api/admin/", "/api/queue/admin/",
        "/api/queue/leave/",
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
        if isFull(kind) {
            refusedEvents.increment()
            throw Self.problem()
        }
        begin()
        defer { end() }
        return try await body()
    }
}
