import HoldfastCore
import Synchronization

/// Recently read events of this instance, so that a rush on one event is not a rush on PostgreSQL.
///
/// A copy is fresh for 400 ms. After that it is still served, for at most 800 ms in all, and the first who asks has it
/// renewed: a change is seen everywhere within a second, nobody waits for PostgreSQL who asks often, and all copies that
/// are to be renewed at about the same time are renewed by one query.
///
/// - Bounds: 2,000 events; at the bound the stale ones are dropped, and if none is, all.
final class EventCache: Sendable {
    enum Answer: Equatable {
        case known(Event?)
        /// Good enough, and the caller begins a renewal: ``takeStale()`` a moment later, then ``renew(_:for:now:)``.
        case stale(Event?)
        /// The caller reads the event and calls ``store(_:for:now:)``.
        case read
    }

    private struct Entry {
        var event: Event?
        var readAt: ContinuousClock.Instant
    }

    private struct State {
        var entries: [EventID: Entry] = [:]
        /// Copies to be renewed, of those above; somebody has begun a renewal when there are any.
        var stale: Set<EventID> = []
    }

    static let freshFor = Duration.milliseconds(400)
    static let servedFor = Duration.milliseconds(800)
    private static let capacity = 2_000

    private let state = Mutex(State())

    func look(_ id: EventID, now: ContinuousClock.Instant) -> Answer {
        state.withLock { state in
            guard let entry = state.entries[id] else { return .read }
            let age = now - entry.readAt
            if age < Self.freshFor { return .known(entry.event) }
            guard age < Self.servedFor else { return .read }
            let isFirst = state.stale.isEmpty
            state.stale.insert(id)
            return isFirst ? .stale(entry.event) : .known(entry.event)
        }
    }

    /// - Parameter now: the moment before the read began; what was written later may not be in `event`.
    func store(_ event: Event?, for id: EventID, now: ContinuousClock.Instant) {
        state.withLock { state in
            if let entry = state.entries[id], entry.readAt > now { return }
            if state.entries.count >= Self.capacity, state.entries[id] == nil {
                state.entries = state.entries.filter { now - $0.value.readAt < Self.freshFor }
                if state.entries.count >= Self.capacity { state.entries.removeAll() }
            }
            state.entries[id] = Entry(event: event, readAt: now)
        }
    }

    /// The copies to be renewed, each with the version that is known; nil where no event was found.
    func takeStale() -> [EventID: Int64?] {
        state.withLock { state in
            defer { state.stale = [] }
            var versions: [EventID: Int64?] = [:]
            for id in state.stale {
                if let entry = state.entries[id] { versions.updateValue(entry.event?.version, forKey: id) }
            }
            return versions
        }
    }

    /// The copy of this version is still the event; unless the copy was forgotten meanwhile.
    func renew(_ version: Int64?, for id: EventID, now: ContinuousClock.Instant) {
        state.withLock { state in
            guard let entry = state.entries[id], entry.event?.version == version, entry.readAt < now else { return }
            state.entries[id]?.readAt = now
        }
    }

    func forget(_ id: EventID) {
        _ = state.withLock { $0.entries.removeValue(forKey: id) }
    }
}
