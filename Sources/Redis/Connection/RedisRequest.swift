import NIOCore
import Synchronization

/// One call of `send`: bytes to write, the number of replies they bring, and the caller who waits.
///
/// It ends exactly once: by its replies, its deadline, its caller's cancellation or the loss of its connection, whichever
/// is first, on whichever thread. Those that come later find it ended and do nothing, so a late reply is simply dropped.
final class RedisRequest: Sendable {
    typealias Outcome = Result<[RESPValue], RedisError>

    private struct State {
        var continuation: CheckedContinuation<Outcome, Never>?
        var outcome: Outcome?
        var isWritten = false
    }

    let bytes: ByteBuffer
    let count: Int
    let deadline: NIODeadline
    private let state = Mutex(State())

    init(bytes: ByteBuffer, count: Int, deadline: NIODeadline) {
        self.bytes = bytes
        self.count = count
        self.deadline = deadline
    }

    var hasEnded: Bool {
        state.withLock { $0.outcome != nil }
    }

    /// From here on Redis may run it. False when it ended before, and must not be written.
    func markWritten() -> Bool {
        state.withLock { state in
            guard state.outcome == nil else { return false }
            state.isWritten = true
            return true
        }
    }

    func succeed(_ replies: [RESPValue]) -> Bool {
        finish { _ in .success(replies) }
    }

    /// `error` is given whether the request was written.
    @discardableResult
    func fail(_ error: (_ isWritten: Bool) -> RedisError) -> Bool {
        finish { .failure(error($0)) }
    }

    private func finish(_ outcome: (_ isWritten: Bool) -> Outcome) -> Bool {
        let (isFirst, continuation) = state.withLock { state in
            guard state.outcome == nil else { return (false, CheckedContinuation<Outcome, Never>?.none) }
            state.outcome = outcome(state.isWritten)
            defer { state.continuation = nil }
            return (true, state.continuation)
        }
        if let continuation, let outcome = state.withLock({ $0.outcome }) { continuation.resume(returning: outcome) }
        return isFirst
    }

    /// The end of this request. Awaited once.
    func outcome() async -> Outcome {
        await withCheckedContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }
}
