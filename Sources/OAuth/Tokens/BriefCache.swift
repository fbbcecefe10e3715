import Synchronization

/// Answers that may be believed for a short while.
///
/// - Bounds: twice `generationSize` entries, as in a clock with two hands; the older half is forgotten.
final class BriefCache<Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        let value: Value
        let until: ContinuousClock.Instant
    }

    private struct State {
        var young: [String: Entry] = [:]
        var old: [String: Entry] = [:]
    }

    private let generationSize: Int
    private let state = Mutex(State())

    init(generationSize: Int = 10_000) { self.generationSize = generationSize }

    func value(_ key: String, now: ContinuousClock.Instant = .now) -> Value? {
        state.withLock { state in
            guard let entry = state.young[key] ?? state.old[key], now < entry.until else { return nil }
            return entry.value
        }
    }

    func keep(_ value: Value, _ key: String, for life: Duration, now: ContinuousClock.Instant = .now) {
        guard life > .zero else { return }
        state.withLock { state in
            if state.young.count >= generationSize {
                state.old = state.young
                state.young = [:]
            }
            state.young[key] = Entry(value: value, until: now + life)
        }
    }

    func forget(_ key: String) {
        state.withLock { state in
            state.young[key] = nil
            state.old[key] = nil
        }
    }
}
