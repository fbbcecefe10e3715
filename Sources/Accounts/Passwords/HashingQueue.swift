import Dispatch
import Synchronization

/// Runs password work on a few threads of its own, so that neither the cooperative pool nor an event loop waits for it.
///
/// A hash takes 128 MiB and half a second of a core. Two at a time is what a login rush may cost; the next callers wait
/// in line, and past the line's end they are turned away at once, which is kinder than an answer after a minute.
///
/// - Bounds: `threads` at work, `maxWaiting` in line; past it ``PasswordHashingError/busy(retryAfterSeconds:)``.
final class HashingQueue: Sendable {
    private struct State {
        var idle: [Int]
        var nextTicket = 0
        var waiting: [(ticket: Int, continuation: CheckedContinuation<Int?, Never>)] = []
        /// Callers cancelled before they stood in line.
        var cancelled: Set<Int> = []
    }

    private let lanes: [DispatchQueue]
    private let maxWaiting: Int
    private let state: Mutex<State>

    init(threads: Int, maxWaiting: Int) {
        precondition(threads > 0 && maxWaiting >= 0, "HashingQueue: at least one thread and no negative line")
        // Serial queues get threads beyond the shared pool's width; a concurrent queue would take them from it.
        lanes = (0..<threads).map { DispatchQueue(label: "holdfast.passwords.\($0)") }
        self.maxWaiting = maxWaiting
        state = Mutex(State(idle: Array(0..<threads)))
    }

    func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async throws(PasswordHashingError) -> Value {
        let lane = try await takeLane()
        let value = await withCheckedContinuation { (continuation: CheckedContinuation<Value, Never>) in
            lanes[lane].async { continuation.resume(returning: work()) }
        }
        giveBack(lane)
        return value
    }

    private enum Entry {
        case lane(Int)
        case ticket(Int)
        case full(waiting: Int)
    }

    private func takeLane() async throws(PasswordHashingError) -> Int {
        let entry = state.withLock { state -> Entry in
            if let lane = state.idle.popLast() { return .lane(lane) }
            guard state.waiting.count < maxWaiting else { return .full(waiting: state.waiting.count) }
            state.nextTicket += 1
            return .ticket(state.nextTicket)
        }
        switch entry {
        case .lane(let lane): return lane
        case .full(let waiting):
            // Half a second each, shared by the threads.
            throw .busy(retryAfterSeconds: 1 + waiting / (2 * lanes.count))
        case .ticket(let ticket):
            guard let lane = await lane(for: ticket) else { throw .cancelled }
            return lane
        }
    }

    private func lane(for ticket: Int) async -> Int? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Int?? in
                    if state.cancelled.remove(ticket) != nil { return .some(nil) }
                    // A lane may have come free since the ticket was drawn.
                    if let lane = state.idle.popLast() { return .some(lane) }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let continuation = state.withLock { state -> CheckedContinuation<Int?, Never>? in
                guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                    // Either not yet in line, or already served; the latter's mark is wiped in `giveBack`.
                    state.cancelled.insert(ticket)
                    return nil
                }
                return state.waiting.remove(at: index).continuation
            }
            continuation?.resume(returning: nil)
        }
    }

    private func giveBack(_ lane: Int) {
        let next = state.withLock { state -> CheckedContinuation<Int?, Never>? in
            guard !state.waiting.isEmpty else {
                state.idle.append(lane)
                // Nobody is in line: marks of callers who were served before their cancellation mean nothing now.
                if state.idle.count == lanes.count { state.cancelled.removeAll() }
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: lane)
    }
}
