import NIOCore
import Synchronization

/// The questions of this node that are not answered yet.
///
/// A question is published once; the publication's reply says how many nodes got it, and as many last parts end the
/// wait, our own echo among them. So a question takes one round trip, a node that is dead is not waited for, and the
/// deadline is for those that got the question and are stuck.
///
/// - Bounds: 1,024 questions at once; a further one is not asked and counts as unanswered.
final class ClusterRequests: Sendable {
    static let maxPending = 1024

    struct Outcome: Sendable {
        var answers: [ClusterAnswer]
        /// `nil` if nobody is known to have got the question.
        var silentNodes: Int?
    }

    private struct Pending {
        var answers: [ClusterAnswer] = []
        var received: Int?
        var ended = 0
        var timer: Scheduled<Void>?
        var continuation: CheckedContinuation<Outcome, Never>
    }

    private let pending = Mutex<[UInt64: Pending]>([:])

    /// - Parameter publish: sends the question, and calls back with the number of nodes that got it.
    func ask(
        id: UInt64,
        timeout: TimeAmount,
        on loop: any EventLoop,
        publish: (@escaping @Sendable (Int?) -> Void) -> Void
    ) async -> Outcome {
        await withCheckedContinuation { continuation in
            let isFull = self.pending.withLock { pending in
                guard pending.count < Self.maxPending else { return true }
                pending[id] = Pending(continuation: continuation)
                return false
            }
            guard !isFull else { return continuation.resume(returning: Outcome(answers: [], silentNodes: nil)) }
            let timer = loop.scheduleTask(in: timeout) { self.end(id) }
            // It may have been answered already; the timer then finds nothing.
            self.pending.withLock { $0[id]?.timer = timer }
            publish { received in
                guard let received else { return self.end(id) }
                self.change(id) { $0.received = received }
            }
        }
    }

    func answered(_ id: UInt64, _ answer: ClusterAnswer, isLast: Bool) {
        self.change(id) {
            $0.answers.append(answer)
            if isLast { $0.ended += 1 }
        }
    }

    /// Our own question came back: one of the nodes that got it is us.
    func echoed(_ id: UInt64) { self.change(id) { $0.ended += 1 } }

    private func change(_ id: UInt64, _ body: (inout Pending) -> Void) {
        let isDone = self.pending.withLock { pending in
            // Taken out for the change, so that the list of answers is not copied.
            guard var entry = pending.removeValue(forKey: id) else { return false }
            body(&entry)
            defer { pending[id] = entry }
            return entry.received.map { $0 <= entry.ended } ?? false
        }
        if isDone { self.end(id) }
    }

    private func end(_ id: UInt64) {
        guard let pending = self.pending.withLock({ $0.removeValue(forKey: id) }) else { return }
        pending.timer?.cancel()
        let silent = pending.received.map { max(0, $0 - pending.ended) }
        pending.continuation.resume(returning: Outcome(answers: pending.answers, silentNodes: silent))
    }
}
