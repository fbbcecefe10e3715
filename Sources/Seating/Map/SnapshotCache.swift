import HoldfastCore
import Synchronization

/// The newest map of each event, shared by everyone on this instance for a tenth of a second.
///
/// At most one read per event is under way; callers who come meanwhile wait for it. One entry per event, as large as
/// its seats.
final class SnapshotCache: Sendable {
    private struct Entry {
        let task: Task<SeatSnapshot, any Error>
        let layoutVersion: Int
        /// Taken when the read began, so that nobody sees a map older than ``lifetime``.
        let startedAt: ContinuousClock.Instant
    }

    private static let lifetime: Duration = .milliseconds(100)
    /// Events looked at within the lifetime are few; the bound keeps a crawler of old events from filling memory.
    private static let maxEntries = 256

    private let entries = Mutex<[EventID: Entry]>([:])

    func snapshot(
        of event: EventID,
        layoutVersion: Int,
        read: @escaping @Sendable () async throws -> SeatSnapshot
    ) async throws -> SeatSnapshot {
        let now = ContinuousClock().now
        let task = entries.withLock { entries in
            if let entry = entries[event], entry.layoutVersion == layoutVersion,
                now - entry.startedAt < Self.lifetime
            {
                return entry.task
            }
            if entries.count >= Self.maxEntries {
                entries = entries.filter { now - $0.value.startedAt < Self.lifetime }
            }
            // Unstructured, because one caller's cancellation must not fail the others. Every caller awaits it, and
            // it ends by Redis' deadline.
            let task = Task { try await read() }
            entries[event] = Entry(task: task, layoutVersion: layoutVersion, startedAt: now)
            return task
        }
        do {
            return try await task.value
        } catch {
            // A failure is for those who waited for it; the next caller reads again.
            entries.withLock { if $0[event]?.task == task { $0[event] = nil } }
            throw error
        }
    }

    /// The next caller reads again.
    func forget(_ event: EventID) {
        entries.withLock { $0[event] = nil }
    }
}
