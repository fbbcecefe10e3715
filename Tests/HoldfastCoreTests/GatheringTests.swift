import HoldfastCore
import Synchronization
import Testing

@Suite struct GatheringTests {
    /// A store whose answers come when the test says so.
    private final class Store: Sendable {
        private let asked = AsyncStream.makeStream(of: Set<Int>.self, bufferingPolicy: .unbounded)
        private let answers = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
        private let counts = Mutex((now: 0, most: 0))
        var mostAtOnce: Int { counts.withLock { $0.most } }

        func ask(_ keys: [Int]) async -> [Int: String] {
            counts.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            defer { counts.withLock { $0.now -= 1 } }
            asked.continuation.yield(Set(keys))
            for await _ in answers.stream { break }
            return Dictionary(uniqueKeysWithValues: keys.filter { $0 >= 0 }.map { ($0, "answer \($0)") })
        }

        func question() async -> Set<Int> {
            for await keys in asked.stream { return keys }
            return []
        }

        func answer() { answers.continuation.yield() }
    }

    @Test("Who asks while a question is under way is in the next one, with all who came since", .timeLimit(.minutes(1)))
    func together() async throws {
        let store = Store()
        let gathering = Gathering<String, Int, String>(groupSize: 500)
        try await withThrowingTaskGroup(of: (Int, String?).self) { group in
            group.addTask { (0, try await gathering.value(0, in: "a", ask: store.ask)) }
            var seen = await store.question()
            #expect(seen == [0])
            // Nobody has an answer for the last.
            for key in [Int](1..<1_200) + [-1] {
                group.addTask { (key, try await gathering.value(key, in: "a", ask: store.ask)) }
            }
            while gathering.waiting < 1_200 { await Task.yield() }
            var sizes: [Int] = []
            for _ in 0..<3 {
                store.answer()
                let question = await store.question()
                sizes.append(question.count)
                seen.formUnion(question)
            }
            store.answer()
            #expect(sizes == [500, 500, 200])
            #expect(seen == Set(-1..<1_200))
            for try await (key, answer) in group { #expect(answer == (key < 0 ? nil : "answer \(key)")) }
        }
        #expect(store.mostAtOnce == 1)
        #expect(gathering.waiting == 0)
    }

    @Test("Keys are asked for in the order in which they came, by the newest caller's question")
    func order() async throws {
        let store = Store()
        let gathering = Gathering<String, Int, String>()
        let (questions, asked) = AsyncStream.makeStream(of: [Int].self)
        try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask { try await gathering.value(0, in: "a", ask: store.ask) }
            _ = await store.question()
            for key in [5, 3, 4] {
                let before = gathering.waiting
                group.addTask {
                    try await gathering.value(key, in: "a") { keys in
                        asked.yield(keys)
                        return Dictionary(uniqueKeysWithValues: keys.map { ($0, "by \(key)") })
                    }
                }
                while gathering.waiting == before { await Task.yield() }
            }
            store.answer()
            var answers: [String] = []
            for try await answer in group { if let answer { answers.append(answer) } }
            #expect(answers.sorted() == ["answer 0", "by 4", "by 4", "by 4"])
        }
        var iterator = questions.makeAsyncIterator()
        #expect(await iterator.next(isolation: #isolation) == [5, 3, 4])
    }

    @Test("A slow question of one scope holds up nobody of another", .timeLimit(.minutes(1)))
    func scopes() async throws {
        let store = Store()
        let gathering = Gathering<String, Int, String>()
        try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask { try await gathering.value(1, in: "slow", ask: store.ask) }
            _ = await store.question()
            let other = try await gathering.value(7, in: "quick") { _ in [7: "at once"] }
            #expect(other == "at once")
            store.answer()
            for try await answer in group { #expect(answer == "answer 1") }
        }
    }

    @Test("A failure is for those who waited for it; the next ask again", .timeLimit(.minutes(1)))
    func failure() async throws {
        let isBroken = Mutex(true)
        let gathering = Gathering<String, Int, String>()
        let ask: Gathering<String, Int, String>.Ask = { _ in
            if isBroken.withLock({ $0 }) { throw CancellationError() }
            return [1: "well"]
        }
        await #expect(throws: CancellationError.self) { try await gathering.value(1, in: "a", ask: ask) }
        isBroken.withLock { $0 = false }
        let answer = try await gathering.value(1, in: "a", ask: ask)
        #expect(answer == "well")
    }

    @Test("Past its bound a line is closed, and open again when it is shorter", .timeLimit(.minutes(1)))
    func bound() async throws {
        let store = Store()
        let gathering = Gathering<String, Int, String>(groupSize: 2, capacity: 4)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { _ = try await gathering.value(0, in: "a", ask: store.ask) }
            _ = await store.question()
            for key in 1...4 { group.addTask { _ = try await gathering.value(key, in: "a", ask: store.ask) } }
            while gathering.waiting < 4 { await Task.yield() }
            await #expect(throws: Problem.self) { try await gathering.value(5, in: "a", ask: store.ask) }
            store.answer()
            _ = await store.question()
            group.addTask { _ = try await gathering.value(6, in: "a", ask: store.ask) }
            for _ in 0..<3 { store.answer() }
        }
        #expect(gathering.waiting == 0)
    }
}
