import HoldfastCore
import Synchronization

/// Keeps this instance subscribed to an event's channel while somebody here needs it, however they come and go.
///
/// Coming and going at one moment must neither leave the instance deaf while somebody listens nor subscribed when all
/// have gone. So whoever comes or goes only changes a count, and one worker per event, while the count and the
/// subscription disagree, brings the subscription after it, one step at a time.
///
/// - Bounds: an entry for each event somebody here is in; those who wait are sockets, one event of each at a time.
final class SharedSubscriptions: Sendable {
    typealias Subscribe = @Sendable () async throws -> Void
    typealias Unsubscribe = @Sendable () async -> Void

    private struct Entry {
        let subscribe: Subscribe
        let unsubscribe: Unsubscribe
        var members = 0
        var isSubscribed = false
        var isSettling = false
        var waiting: [CheckedContinuation<Void, any Error>] = []
    }

    private enum Step {
        case subscribe(Subscribe, undo: Unsubscribe)
        case unsubscribe(Unsubscribe)
        case done([CheckedContinuation<Void, any Error>])
    }

    private let entries = Mutex<[EventID: Entry]>([:])

    /// One more member. Returns once messages flow; after an error the member does not count.
    ///
    /// - Parameters:
    ///   - subscribe: returns once messages flow; after an error it is undone by `unsubscribe`.
    ///   - unsubscribe: returns once they no longer do.
    func retain(_ event: EventID, subscribe: @escaping Subscribe, unsubscribe: @escaping Unsubscribe) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let isReady = entries.withLock { entries in
                var entry = entries[event] ?? Entry(subscribe: subscribe, unsubscribe: unsubscribe)
                entry.members += 1
                let isReady = entry.isSubscribed && !entry.isSettling
                if !isReady { entry.waiting.append(continuation) }
                entries[event] = entry
                return isReady
            }
            if isReady { continuation.resume() } else { settleIfNobodyDoes(event) }
        }
    }

    /// One member less.
    func release(_ event: EventID) {
        let isLast = entries.withLock { entries in
            entries[event]?.members -= 1
            return entries[event]?.members == 0
        }
        if isLast { settleIfNobodyDoes(event) }
    }

    private func settleIfNobodyDoes(_ event: EventID) {
        let isMine = entries.withLock { entries in
            guard entries[event]?.isSettling == false else { return false }
            entries[event]?.isSettling = true
            return true
        }
        // Those who wait are resumed by it; after the last has left nobody needs to await it. One at most per event.
        if isMine { Task { await self.settle(event) } }
    }

    private func settle(_ event: EventID) async {
        while true {
            switch nextStep(event) {
            case .subscribe(let subscribe, let undo):
                do {
                    try await subscribe()
                    entries.withLock { $0[event]?.isSubscribed = true }
                } catch {
                    await undo()
                    for waiting in giveUp(event) { waiting.resume(throwing: error) }
                }
            case .unsubscribe(let unsubscribe):
                await unsubscribe()
                entries.withLock { $0[event]?.isSubscribed = false }
            case .done(let waiting):
                for waiting in waiting { waiting.resume() }
                return
            }
        }
    }

    private func nextStep(_ event: EventID) -> Step {
        entries.withLock { entries in
            guard var entry = entries[event] else { return .done([]) }
            let isWanted = entry.members > 0
            guard isWanted == entry.isSubscribed else {
                return isWanted
                    ? .subscribe(entry.subscribe, undo: entry.unsubscribe) : .unsubscribe(entry.unsubscribe)
            }
            let waiting = entry.waiting
            entry.waiting = []
            entry.isSettling = false
            entries[event] = isWanted ? entry : nil
            return .done(waiting)
        }
    }

    /// Those who waited for what has failed; who comes from now on makes the worker try again.
    private func giveUp(_ event: EventID) -> [CheckedContinuation<Void, any Error>] {
        entries.withLock { entries in
            let waiting = entries[event]?.waiting ?? []
            entries[event]?.members -= waiting.count
            entries[event]?.waiting = []
            return waiting
        }
    }
}
