import HoldfastCore
import Synchronization

/// Accesses that this instance has seen and Redis has not been told of.
///
/// A session is written at most once in 5 seconds; what comes in between waits here and goes along with the next write.
///
/// - Bounds: 100,000 sessions; beyond it the waiting counts are dropped, as they only tell how busy a device was.
final class AccessTally: Sendable {
    private let waiting = Mutex<[SessionHandle: Int]>([:])

    /// One more access, with all that wait; hand them back if they were not written.
    func claim(_ handle: SessionHandle) -> Int { waiting.withLock { ($0.removeValue(forKey: handle) ?? 0) + 1 } }

    func giveBack(_ count: Int, for handle: SessionHandle) {
        waiting.withLock { waiting in
            if waiting.count >= 100_000 { waiting.removeAll(keepingCapacity: true) }
            waiting[handle, default: 0] += count
        }
    }
}
