import DequeModule
import Postgres
import Synchronization

/// How many sign-ins, refreshes and sign-outs are at PostgreSQL at once; the others wait here, in order.
///
/// Hundreds arrive at one moment when a sale opens. They must neither take every connection from the sale itself nor be
/// refused because the pool's line is short: each needs a connection for some milliseconds only.
///
/// - Bounds: `limit` at work, 2,048 in line. Who has waited `patience` when their turn comes is refused, and who comes to
///   a full line is refused at once; both are retryable.
final class SignInGate: Sendable {
    private struct Waiter {
        let id: UInt64
        let since: ContinuousClock.Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var free: Int
        var nextID: UInt64 = 0
        var line: Deque<Waiter> = []
        /// Cancelled before they had come to the line.
        var cancelled: Set<UInt64> = []
    }

    private static let mostInLine = 2_048

    private let patience: Duration
    private let state: Mutex<State>

    init(limit: Int = 5, patience: Duration) {
        self.patience = patience
        state = Mutex(State(free: limit))
    }

    func turn<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws {
        let id: UInt64? = state.withLock { state in
            if state.free > 0 {
                state.free -= 1
                return nil
            }
            state.nextID += 1
            return state.nextID
        }
        guard let id else { return }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let refusal: (any Error)? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return CancellationError() }
                    // Somebody may have left since the look above.
                    if state.free > 0 {
                        state.free -= 1
                        continuation.resume()
                        return nil
                    }
                    guard state.line.count < Self.mostInLine else { return Self.full }
                    state.line.append(Waiter(id: id, since: .now, continuation: continuation))
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) }
            }
        } onCancel: {
            let waiter: Waiter? = state.withLock { state in
                guard let position = state.line.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.line.remove(at: position)
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
        // A cancellation that came after the turn leaves a mark behind.
        state.withLock { _ = $0.cancelled.remove(id) }
    }

    private func leave() {
        let now = ContinuousClock.now
        let (next, late): (Waiter?, [Waiter]) = state.withLock { state in
            var late: [Waiter] = []
            while let waiter = state.line.popFirst() {
                if now - waiter.since < patience { return (waiter, late) }
                late.append(waiter)
            }
            state.free += 1
            return (nil, late)
        }
        for waiter in late { waiter.continuation.resume(throwing: Self.full) }
        next?.continuation.resume()
    }

    private static let full = PostgresError(
        .poolExhausted,
        "sign-in: no turn in time, or 2048 in line",
        isRetryable: true
    )
}
