import HoldfastCore
import Synchronization

/// Recently read events of this instance, so that a rush on one event is not a rush on PostgreSQL.
///
/// A copy is fresh for 400 ms. After that the first who asks reads again while the others are served the old copy, for
/// at most 800 ms in all: a change is seen everywhere within a second, and an expiring copy never sends a thousand
/// requests to the database at once.
///
/// - Bounds: 2,000 events; at the bound the stale ones are dropped, and if none is, all.
final class EventCache: Sendable {
    enum Answer: Equatable {
        case known(Event?)
        /// The caller reads the event and calls ``store(_:for:now:)`` or ``readFailed(for:)``.
        case read
    }

    private struct Entry {
        var event: Event?
        var readAt: ContinuousClock.Instant
        var isBeingRead = false
    }

    static let freshFor = Duration.milliseconds(400)
    static let servedFor = Duration.milliseconds(800)
    private static let capacity = 2_000

    private let entries = Mutex<[EventID: Entry]>([:])

    func look(_ id: EventID, now: ContinuousClock.Instant) -> Answer {
        entries.withLock { entries in
            guard let entry = entries[id] else { return .read }
            let age = now - entry.readAt
            if age < Self.freshFor || (entry.isBeingRead && age < Self.servedFor) { return .known(entry.event) }
            entries[id]?.isBeingRead = true
            return .read
        }
    }

    /// - Parameter now: the moment before the read began; what was written later may not be in `event`.
    func store(_ event: Event?, for id: EventID, now: ContinuousClock.Instant) {
        entries.withLock { entries in
            if let entry = entries[id], entry.readAt > now { return }
            if entries.count >= Self.capacity, entries[id] == nil {
                entries = entries.filter { now - $0.value.readAt < Self.freshFor }
                if entries.count >= Self.capacity { entries.removeAll() }
            }
            entries[id] = Entry(event: event, readAt: now)
        }
    }

    func readFailed(for id: EventID) {
        entries.withLock { $0[id]?.isBeingRead = false }
    }

    func forget(_ id: EventID) {
        _ = entries.withLock { $0.removeValue(forKey: id) }
    }
}
