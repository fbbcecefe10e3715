import HoldfastCore
import Synchronization

/// Recently read events of this instance, so that a rush on one event is not a rush on PostgreSQL.
///
<<<<<<< HEAD
/// A copy is fresh for 400 ms. After that the first who asks reads again while the others are served the old copy, for
/// at most 800 ms in all; without one they wait for that reading. So a change is seen everywhere within a second, and
/// neither an expiring copy nor the first thousand people of an instance send a thousand requests to the database.
///
/// - Bounds: 2,000 events; at the bound the stale ones are dropped, and if none is, all.
final class EventCache: Sendable {
    private typealias Reading = Task<Event?, any Error>

    private struct Entry {
        let event: Event?
        let readAt: ContinuousClock.Instant
=======
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
>>>>>>> 01e24b950047dff02b3276b703899a78a6331ed8
    }

    private struct State {
        var entries: [EventID: Entry] = [:]
<<<<<<< HEAD
        var readings: [EventID: (number: Int, task: Reading)] = [:]
        var nextNumber = 0
    }

    private enum Look {
        case known(Event?)
        case reading(Reading)
=======
        /// Copies to be renewed, of those above; somebody has begun a renewal when there are any.
        var stale: Set<EventID> = []
>>>>>>> 01e24b950047dff02b3276b703899a78a6331ed8
    }

    static let freshFor = Duration.milliseconds(400)
    static let servedFor = Duration.milliseconds(800)
    private static let capacity = 2_000

    private let state = Mutex(State())

<<<<<<< HEAD
    /// The event as it was at most ``servedFor`` before, or as it is read now.
    func event(
        _ id: EventID,
        now: ContinuousClock.Instant = .now,
        read: @escaping @Sendable () async throws -> Event?
    ) async throws -> Event? {
        let look = state.withLock { state -> Look in
            let entry = state.entries[id]
            if let entry, now - entry.readAt < Self.freshFor { return .known(entry.event) }
            if let reading = state.readings[id] {
                if let entry, now - entry.readAt < Self.servedFor { return .known(entry.event) }
                return .reading(reading.task)
            }
            state.nextNumber += 1
            let number = state.nextNumber
            // Unstructured, because one caller's cancellation must not fail the others. The first caller awaits it, and
            // it ends by PostgreSQL's deadline.
            let task = Reading {
                let result: Result<Event?, any Error>
                do { result = .success(try await read()) } catch { result = .failure(error) }
                self.finished(number, id, result, begunAt: now)
                return try result.get()
            }
            state.readings[id] = (number, task)
            return .reading(task)
        }
        switch look {
        case .known(let event): return event
        case .reading(let task): return try await task.value
        }
    }

    /// What was written after the reading began may not be in `result`, so the copy's age counts from there.
    private func finished(
        _ number: Int,
        _ id: EventID,
        _ result: Result<Event?, any Error>,
        begunAt: ContinuousClock.Instant
    ) {
        state.withLock { state in
            // Forgotten meanwhile: a change that this may not know.
            guard state.readings[id]?.number == number else { return }
            state.readings[id] = nil
            // A failure is for those who waited for it; the next caller reads again.
            guard case .success(let event) = result else { return }
            if state.entries.count >= Self.capacity, state.entries[id] == nil {
                state.entries = state.entries.filter { begunAt - $0.value.readAt < Self.freshFor }
                if state.entries.count >= Self.capacity { state.entries.removeAll() }
            }
            state.entries[id] = Entry(event: event, readAt: begunAt)
=======
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
>>>>>>> 01e24b950047dff02b3276b703899a78a6331ed8
        }
    }

    /// The next who asks reads anew, also if it is being read now.
    func forget(_ id: EventID) {
<<<<<<< HEAD
        state.withLock { state in
            state.entries[id] = nil
            state.readings[id] = nil
        }
=======
        _ = state.withLock { $0.entries.removeValue(forKey: id) }
>>>>>>> 01e24b950047dff02b3276b703899a78a6331ed8
    }
}
