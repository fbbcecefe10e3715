import HoldfastCore
import Synchronization

/// Layouts read before; those of one version never change.
///
/// However many people come to an event at one moment, its seats are read once. One that nobody used for ``idleTime`` goes
/// with the next that comes, so that a process which has seen many sales is no larger than one that has seen few.
///
/// - Bounds: 3,200,000 seats of all events together, some 600 MB; at the bound random ones are dropped.
final class LayoutCache: Sendable {
    struct Key: Hashable {
        let event: EventID
        let version: Int
    }

    private struct Known {
        let layout: Layout
        var usedAt: ContinuousClock.Instant
    }

    private struct State {
        var layouts: [Key: Known] = [:]
        var reading: [Key: Task<Layout, any Error>] = [:]
    }

    static let idleTime = Duration.seconds(300)

    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int = 3_200_000) { self.capacity = capacity }

    func layout(
        _ key: Key,
        now: ContinuousClock.Instant = .now,
        read: @escaping @Sendable () async throws -> Layout
    ) async throws -> Layout {
        let (known, task) = state.withLock { state -> (Layout?, Task<Layout, any Error>?) in
            if let known = state.layouts[key] {
                state.layouts[key]?.usedAt = now
                return (known.layout, nil)
            }
            if let task = state.reading[key] { return (nil, task) }
            // Unstructured, because one caller's cancellation must not fail the others. Every caller awaits it, and it
            // ends by PostgreSQL's deadline.
            let task = Task {
                let result: Result<Layout, any Error>
                do { result = .success(try await read()) } catch { result = .failure(error) }
                self.finished(key, now, result)
                return try result.get()
            }
            state.reading[key] = task
            return (nil, task)
        }
        if let known { return known }
        guard let task else { preconditionFailure("a layout is known or being read") }
        return try await task.value
    }

    private func finished(_ key: Key, _ now: ContinuousClock.Instant, _ result: Result<Layout, any Error>) {
        state.withLock { state in
            state.reading[key] = nil
            // A failure is for those who waited for it; the next caller reads again.
            guard case .success(let layout) = result else { return }
            state.layouts[key] = Known(layout: layout, usedAt: now)
            state.layouts = state.layouts.filter { now - $0.value.usedAt < Self.idleTime }
            var seats = state.layouts.values.reduce(0) { $0 + $1.layout.seats.count }
            while seats > capacity, let victim = state.layouts.keys.first(where: { $0 != key }) {
                seats -= state.layouts.removeValue(forKey: victim)?.layout.seats.count ?? 0
            }
        }
    }
}
