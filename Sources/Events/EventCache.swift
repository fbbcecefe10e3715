import HoldfastCore
import Synchronization

/// Recently read events of this instance, so that a rush on one event is not a rush on PostgreSQL.
///
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
    }

    private struct State {
        var entries: [EventID: Entry] = [:]
        var readings: [EventID: (number: Int, task: Reading)] = [:]
        var nextNumber = 0
    }

    private enum Look {
        case known(Event?)
        case reading(Reading)
    }

    static let freshFor = Duration.milliseconds(400)
    static let servedFor = Duration.milliseconds(800)
    private static let capacity = 2_000

    private let state = Mutex(State())

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
        }
    }

    /// The next who asks reads anew, also if it is being read now.
    func forget(_ id: EventID) {
        state.withLock { state in
            state.entries[id] = nil
            state.readings[id] = nil
        }
    }
}
