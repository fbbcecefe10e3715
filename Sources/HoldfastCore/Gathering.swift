import Synchronization

/// Asks together what is asked at the same time, so that thousands who come at one moment cost a few questions to a store
/// and not one each.
///
/// Who asks while no question of that scope is under way is asked for at once. Who asks meanwhile waits for its answer,
/// and is in the next question with all others who came; so the busier it is, the larger the groups become, and nobody
/// waits for a timer. Nobody joins a question that has begun: an answer is never older than the call.
///
/// - Bounds: one question at a time per scope, ``groupSize`` keys in it, ``capacity`` waiting per scope; beyond that at
///   once ``ProblemCode/unavailable``, for they would wait longer than a client does. A scope is forgotten when idle.
package final class Gathering<Scope: Hashable & Sendable, Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Answers for some keys of a scope; those without an answer are left out.
    package typealias Ask = @Sendable (Scope, [Key]) async throws -> [Key: Value]
    private typealias Answers = Task<[Key: Value], any Error>

    private struct Group {
        let number: Int
        var keys: Set<Key>
        let task: Answers
    }

    private struct Line {
        /// Groups that have not begun to be asked for; only the last takes more.
        var groups: [Group] = []
        var last: Answers?
        var unfinished = 0
    }

    private struct State {
        var lines: [Scope: Line] = [:]
        var nextNumber = 0
    }

    private let groupSize: Int
    private let capacity: Int
    private let ask: Ask
    private let state = Mutex(State())

    package init(groupSize: Int = 500, capacity: Int = 20_000, ask: @escaping Ask) {
        (self.groupSize, self.capacity, self.ask) = (groupSize, capacity, ask)
    }

    /// Keys in groups that have not begun to be asked for.
    package var waiting: Int {
        state.withLock { $0.lines.values.reduce(0) { $0 + $1.groups.reduce(0) { $0 + $1.keys.count } } }
    }

    /// - Returns: nil if there is no answer for this key.
    package func value(_ key: Key, in scope: Scope) async throws -> Value? {
        let task: Answers = try state.withLock { state in
            // Taken out, not copied: a second owner would make every insertion copy the whole group.
            var line = state.lines.removeValue(forKey: scope) ?? Line()
            defer { state.lines[scope] = line }
            if let last = line.groups.indices.last, line.groups[last].keys.count < groupSize {
                line.groups[last].keys.insert(key)
                return line.groups[last].task
            }
            guard line.groups.count * groupSize < capacity else {
                throw Problem(.unavailable, "Too many people are coming at this moment. Try again in a moment.")
            }
            state.nextNumber += 1
            let (number, previous) = (state.nextNumber, line.last)
            // Unstructured, because one caller's cancellation must not fail the others. Every caller awaits it, and it
            // ends by the store's deadline.
            let task = Answers {
                _ = await previous?.result
                return try await self.run(number, in: scope)
            }
            line.groups.append(Group(number: number, keys: [key], task: task))
            line.last = task
            line.unfinished += 1
            return task
        }
        return try await task.value[key]
    }

    private func run(_ number: Int, in scope: Scope) async throws -> [Key: Value] {
        let keys = state.withLock { state -> Set<Key> in
            guard let index = state.lines[scope]?.groups.firstIndex(where: { $0.number == number }) else { return [] }
            return state.lines[scope]?.groups.remove(at: index).keys ?? []
        }
        defer {
            state.withLock { state in
                state.lines[scope]?.unfinished -= 1
                if state.lines[scope]?.unfinished == 0 { state.lines[scope] = nil }
            }
        }
        return try await ask(scope, Array(keys))
    }
}
