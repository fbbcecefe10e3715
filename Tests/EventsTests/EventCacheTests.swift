import HoldfastCore
import Synchronization
import Testing

@testable import Events

@Suite struct EventCacheTests {
    private let cache = EventCache()
    private let id = EventID()
    private let start = ContinuousClock.now

    /// A database that answers when the test says so, and counts how often it was asked.
    private final class Database: Sendable {
        private let asked = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
        private let answers = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
        private let count = Mutex(0)
        var questions: Int { count.withLock { $0 } }

        func read() async throws -> Event? {
            count.withLock { $0 += 1 }
            asked.continuation.yield()
            for await _ in answers.stream { break }
            return nil
        }

        func question() async { for await _ in asked.stream { break } }
        func answer() { answers.continuation.yield() }
    }

    private func look(after milliseconds: Int64, _ database: Database) async throws {
        _ = try await cache.event(id, now: start + .milliseconds(milliseconds)) { try await database.read() }
    }

    @Test("However many ask at once, an event is read once", .timeLimit(.minutes(1)))
    func shared() async throws {
        let database = Database()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await look(after: 0, database) }
            await database.question()
            for _ in 0..<1_000 { group.addTask { try await look(after: 10, database) } }
            database.answer()
        }
        #expect(database.questions == 1)
    }

    @Test("One reads a stale copy again while the others are served it, but not for long", .timeLimit(.minutes(1)))
    func oneReads() async throws {
        let database = Database()
        database.answer()
        try await look(after: 0, database)
        await database.question()
        try await look(after: 399, database)
        #expect(database.questions == 1)
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await look(after: 401, database) }
            await database.question()
            // Served the old copy: this would wait for ever otherwise.
            try await look(after: 402, database)
            group.addTask { try await look(after: 800, database) }
            database.answer()
        }
        #expect(database.questions == 2)
    }

    @Test("What is forgotten while it is read is read again, and not kept", .timeLimit(.minutes(1)))
    func forgotten() async throws {
        let database = Database()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await look(after: 0, database) }
            await database.question()
            cache.forget(id)
            group.addTask { try await look(after: 1, database) }
            await database.question()
            database.answer()
            database.answer()
        }
        #expect(database.questions == 2)
    }

    @Test("A failed reading is for those who waited for it")
    func failed() async throws {
        await #expect(throws: CancellationError.self) {
            try await cache.event(id, now: start) { throw CancellationError() }
        }
        let found = try await cache.event(id, now: start) { nil }
        #expect(found == nil)
    }
}
