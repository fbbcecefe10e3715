import HoldfastCore
import Synchronization

/// Accesses that this instance has seen and Redis has not been told of.
///
/// A session is written at most once in ``interval``; what comes in between waits here and goes along with the next
/// write. ``AccessWriter`` writes what no request takes along, also when the session has ended meanwhile.
///
/// - Bounds: 100,000 sessions; beyond it the waiting counts are dropped, as they only tell how busy a device was.
final class AccessTally: Sendable {
    /// A session's accesses that wait to be written.
    struct Waiting: Sendable {
        let handle: SessionHandle
        let user: UserID
        let count: Int
    }

    static let interval = Duration.seconds(5)
    private static let most = 100_000

    private struct Entry {
        let user: UserID
        var count: Int
        let since: ContinuousClock.Instant
    }

    private let waiting = Mutex<[SessionHandle: Entry]>([:])

    /// One more access, with all that wait; hand them back if they were not written.
    func claim(_ handle: SessionHandle) -> Int {
        waiting.withLock { ($0.removeValue(forKey: handle)?.count ?? 0) + 1 }
    }

    func giveBack(_ count: Int, for handle: SessionHandle, of user: UserID) {
        guard count > 0 else { return }
        waiting.withLock { waiting in
            if waiting.count >= Self.most { waiting.removeAll(keepingCapacity: true) }
            waiting[handle, default: Entry(user: user, count: 0, since: .now)].count += count
        }
    }

    /// Takes what has waited since `instant` or longer.
    func take(since instant: ContinuousClock.Instant) -> [Waiting] {
        waiting.withLock { waiting in
            let due = waiting.filter { $0.value.since <= instant }
            for handle in due.keys { waiting[handle] = nil }
            return due.map { Waiting(handle: $0.key, user: $0.value.user, count: $0.value.count) }
        }
    }

    /// Takes what waits for one session.
    func take(_ handle: SessionHandle) -> Int { waiting.withLock { $0.removeValue(forKey: handle)?.count ?? 0 } }
}
