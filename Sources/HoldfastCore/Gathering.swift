import Synchronization

/// Asks together what is asked at the same time, so that thousands who come at one moment cost a few questions to a store
/// and not one each.
///
/// Who asks while no question of that scope is under way is asked for at once, or after the patience that was asked for.
/// Who asks meanwhile waits for its answer, and is in the next question with all others who came; so the busier it is,
/// the larger the groups become. Nobody joins a question that has begun: an answer is never older than the call.
///
/// - Bounds: one question at a time per scope, ``groupSize`` keys in it, ``capacity`` waiting per scope; beyond that at
///   once ``ProblemCode/unavailable``, for they would wait longer than a client does. A scope is forgotten when idle.
package final class Gathering<Scope: Hashable & Sendable, Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Answers for some keys, which are in the order in which they came; those without an answer are left out.
    package typealias Ask = @Sendable ([Key]) async throws -> [Key: Value]
    private typealias Answers = Task<[Key: Value], any Error>

    private struct Group {
        let number: Int
        var keys: [Key]
        var known: Set<Key>
        /// The newest caller's: what it knows beside the key may have changed since the group was begun.
        var ask: Ask
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
    private let patience: Duration?
    private let crowded: String
    private let state = Mutex(State())

    /// - Parameters:
    ///   - patience: how long the first of a scope waits for others; nil for not at all.
    ///   - crowded: what is said to who comes past the bound.
    package init(
        groupSize: Int = 500,
        capacity: Int = 20_000,
        patience: Duration? = nil,
        crowded: String = "Too many people are coming at this moment. Try again in a moment."
    ) {
        (self.groupSize, self.capacity, self.patience, self.crowded) = (groupSize, capacity, patience, crowded)
    }

    /// Keys in groups that have not begun to be asked for.
    package var waiting: Int {
        state.withLock { $0.lines.values.reduce(0) { $0 + $1.groups.reduce(0) { $0 + $1.keys.count } } }
    }

    /// - Returns: nil if there is no answer for this key.
    package func value(_ key: Key, in scope: Scope, ask: @escaping Ask) async throws -> Value? {
        let task: Answers = try state.withLock { state in
            // Taken out, not copied: a second owner would make every insertion copy the whole group.
            var line = state.lines.removeValue(forKey: scope) ?? Line()
            defer { state.lines[scope] = line }
            if let last = line.groups.indices.last, line.groups[last].keys.count < groupSize {
                if line.groups[last].known.insert(key).inserted { line.groups[last].keys.append(key) }
                line.groups[last].ask = ask
                return line.groups[last].task
            }
            guard line.groups.count * groupSize < capacity else {
                throw Problem(.unavailable, crowded)
            }
            state.nextNumber += 1
            let (number, previous) = (state.nextNumber, line.last)
            // Unstructured, because one caller's cancellation must not fail the others. Every caller awaits it, and it
            // ends by the store's deadline.
            let task = Answers {
                if let previous {
                    _ = await previous.result
                } else if let patience = self.patience {
                    try await Task.sleep(for: patience)
                }
                return try await self.run(number, in: scope)
            }
            line.groups.append(Group(number: number, keys: [key], known: [key], ask: ask, task: task))
            line.last = task
            line.unfinished += 1
            return task
        }
        return try await task.value[key]
    }

    private func run(_ number: Int, in scope: Scope) async throws -> [Key: Value] {
        let group = state.withLock { state -> Group? in
            guard let index = state.lines[scope]?.groups.firstIndex(where: { $0.number == number }) else { return nil }
            return state.lines[scope]?.groups.remove(at: index)
        }
        defer {
            state.withLock { state in
                state.lines[scope]?.unfinished -= 1
                if state.lines[scope]?.unfinished == 0 { state.lines[scope] = nil }
            }
        }
        guard let group else { return [:] }
        return try await group.ask(group.keys)
    }
}
