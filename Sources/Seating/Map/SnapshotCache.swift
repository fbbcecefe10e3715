import HoldfastCore
import Synchronization

/// The newest map of each event, shared by everyone on this instance for a tenth of a second.
///
/// At most one read per event is under way; callers who come meanwhile wait for it. One entry per event, as large as
/// its seats.
final class SnapshotCache: Sendable {
    private struct Entry {
        let task: Task<SeatMap, any Error>
        let layoutVersion: Int
        /// Taken when the read began, so that nobody sees a map older than ``lifetime``.
        let startedAt: ContinuousClock.Instant
        var map: SeatMap?

        func isFresh(at now: ContinuousClock.Instant) -> Bool {
            now - startedAt < (map?.isOver == true ? SnapshotCache.lifetimeWhenOver : SnapshotCache.lifetime)
        }
    }

    private static let lifetime: Duration = .milliseconds(100)
    /// PostgreSQL reads every seat for it, and only a refund still changes it.
    private static let lifetimeWhenOver: Duration = .seconds(5)
    /// Events looked at within the lifetime are few; the bound keeps a crawler of old events from filling memory.
    private static let maxEntries = 256

    private let entries = Mutex<[EventID: Entry]>([:])

    func map(
        of event: EventID,
        layoutVersion: Int,
        read: @escaping @Sendable () async throws -> SeatMap
    ) async throws -> SeatMap {
        let now = ContinuousClock().now
        let task = entries.withLock { entries in
            if let entry = entries[event], entry.layoutVersion == layoutVersion, entry.isFresh(at: now) {
                return entry.task
            }
            if entries.count >= Self.maxEntries {
                entries = entries.filter { $0.value.isFresh(at: now) }
            }
            // Unstructured, because one caller's cancellation must not fail the others. Every caller awaits it, and
            // it ends by Redis' deadline.
            let task = Task { try await read() }
            entries[event] = Entry(task: task, layoutVersion: layoutVersion, startedAt: now)
            return task
        }
        do {
            let map = try await task.value
            entries.withLock { if $0[event]?.task == task { $0[event]?.map = map } }
            return map
        } catch {
            // A failure is for those who waited for it; the next caller reads again.
            entries.withLock { if $0[event]?.task == task { $0[event] = nil } }
            throw error
        }
    }

    /// The next caller reads again, unless somebody did since this map was read.
    func forget(_ map: SeatMap?, of event: EventID) {
        entries.withLock { entries in
            if map == nil || entries[event]?.map === map { entries[event] = nil }
        }
    }
}

/// One reading of the map, and the seats that this instance has gone after since.
///
/// People who ask for the best seats at one moment read the same map. Each is sent after other seats than those before,
/// so they need not race in Redis for the same ones.
final class SeatMap: Sendable {
    let snapshot: SeatSnapshot
    /// Of a closed event, as PostgreSQL knows it.
    let isOver: Bool
    private let letters: Mutex<[UInt8]>

    init(_ snapshot: SeatSnapshot, isOver: Bool = false) {
        self.snapshot = snapshot
        self.isOver = isOver
        letters = Mutex(snapshot.statuses)
    }

    /// Whether somebody was sent after seats of this map.
    var hasIntentions: Bool { letters.withLock { $0 != snapshot.statuses } }

    /// Candidates by the map as it is, less what others here were sent after.
    func candidates(_ search: BestSeats) -> BestSeats.Candidates {
        letters.withLock { letters in
            let found = search.candidates(in: letters)
            for ordinal in found.groups.first ?? [] { letters[ordinal] = SeatSnapshot.locked }
            return found
        }
    }
}
