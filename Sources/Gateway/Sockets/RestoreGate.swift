import Synchronization

/// Lets so many people be restored at once; the others wait their turn, in order.
///
/// After an instance is gone thousands connect within a second, each with a few questions to Redis one after the other.
/// Without a gate all would be in flight at once, past what a connection takes, and some would be refused. With it Redis
/// still gets them in pipelined batches, as many as are in here, and whoever is only choosing a seat is not behind all.
///
/// - Bounds: those who wait are sockets, which the Engine.IO server bounds.
final class RestoreGate: Sendable {
    /// A fifth of what the Redis connections take at once; each person has two commands in flight at most.
    static let places = 400

    private struct State {
        var inside = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
        /// Those before it have gone in; they are removed now and then, not one by one.
        var next = 0
    }

    private let state = Mutex(State())

    func through<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async {
        await withCheckedContinuation { continuation in
            let goesIn = state.withLock { state in
                if state.inside < Self.places {
                    state.inside += 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if goesIn { continuation.resume() }
        }
    }

    /// The place goes to the next in line.
    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.next < state.waiting.count else {
                state.inside -= 1
                return nil
            }
            defer {
                state.next += 1
                if state.next == state.waiting.count || state.next >= 1_024 {
                    state.waiting.removeFirst(state.next)
                    state.next = 0
                }
            }
            return state.waiting[state.next]
        }
        next?.resume()
    }
}
