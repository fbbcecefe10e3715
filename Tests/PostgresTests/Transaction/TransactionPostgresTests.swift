import Postgres
import Synchronization
import TestSupport
import Testing

@Suite("Transactions on a real server", .enabled(if: TestPostgres.isConfigured), .timeLimit(.minutes(20)))
struct TransactionPostgresTests {
    private struct Refusal: Error, Equatable {}

    private func prepare(_ client: PostgresClient) async throws {
        _ = try await client.query("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)")
        _ = try await client.query("INSERT INTO t VALUES (1, 0), (2, 0)")
    }

    private func sum(_ client: PostgresClient) async throws -> Int {
        try await client.query("SELECT sum(v) FROM t")[0].decode(Int.self)
    }

    @Test("What the body did is there after it returns, and gone after it throws its own error")
    func commitAndRollback() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let value = try await client.withTransaction { transaction in
                _ = try await transaction.query("UPDATE t SET v = 5 WHERE id = 1")
                return try await transaction.query("SELECT v FROM t WHERE id = 1")[0].decode(Int.self)
            }
            #expect(value == 5)
            await #expect(throws: Refusal()) {
                try await client.withTransaction { transaction in
                    _ = try await transaction.query("UPDATE t SET v = 9")
                    throw Refusal()
                }
            }
            #expect(try await sum(client) == 5)
        }
    }

    @Test("A pipeline answers every statement, and after a failure nothing of it remains")
    func pipeline() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let counts = try await client.withTransaction { transaction in
                try await transaction.pipeline([
                    "UPDATE t SET v = 1 WHERE id = \(1)", "UPDATE t SET v = 1 WHERE id = \(2)", "UPDATE t SET v = v",
                ]).map(\.affectedRows)
            }
            #expect(counts == [1, 1, 2])
            let error = await #expect(throws: PostgresError.self) {
                try await client.withTransaction { transaction in
                    try await transaction.pipeline(["UPDATE t SET v = 7", "SELECT 1 / \(0)::int", "UPDATE t SET v = 8"])
                }
            }
            #expect(error?.sqlState == "22012")
            #expect(try await sum(client) == 2)
        }
    }

    @Test("A body that hides a failed statement does not believe itself committed")
    func hiddenFailure() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let error = await #expect(throws: PostgresError.self) {
                try await client.withTransaction { transaction in
                    _ = try await transaction.query("UPDATE t SET v = 1")
                    _ = try? await transaction.query("SELECT 1 / \(0)::int")
                }
            }
            #expect(error?.code == .transaction)
            #expect(error?.mayHaveRun == false)
            #expect(try await sum(client) == 0)
        }
    }

    @Test("A constraint checked at the commit refuses it by name, and nothing was done")
    func deferredConstraint() async throws {
        try await TestPostgres.withDatabase { client in
            _ = try await client.query(
                "CREATE TABLE t (v int CONSTRAINT v_once UNIQUE DEFERRABLE INITIALLY DEFERRED)"
            )
            let error = await #expect(throws: PostgresError.self) {
                try await client.withTransaction { transaction in
                    _ = try await transaction.query("INSERT INTO t VALUES (1), (1)")
                }
            }
            #expect(error?.constraint == "v_once")
            #expect(error?.mayHaveRun == false)
        }
    }

    @Test("After a serialization failure the body runs again and sees what the other wrote")
    func serializationFailure() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let runs = Atomic<Int>(0)
            try await client.withTransaction(isolation: .repeatableRead) { transaction in
                let seen = try await transaction.query("SELECT v FROM t WHERE id = 1")[0].decode(Int.self)
                if runs.wrappingAdd(1, ordering: .relaxed).newValue == 1 {
                    _ = try await client.query("UPDATE t SET v = v + 10 WHERE id = 1")
                }
                _ = try await transaction.query("UPDATE t SET v = \(seen + 1) WHERE id = 1")
            }
            #expect(runs.load(ordering: .relaxed) == 2)
            #expect(try await sum(client) == 11)
        }
    }

    @Test("A conflict that never ends is given up after three repetitions, and is retryable")
    func endlessConflict() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let runs = Atomic<Int>(0)
            let error = await #expect(throws: PostgresError.self) {
                try await client.withTransaction(isolation: .repeatableRead) { transaction in
                    runs.wrappingAdd(1, ordering: .relaxed)
                    _ = try await transaction.query("SELECT v FROM t WHERE id = 1")
                    _ = try await client.query("UPDATE t SET v = v + 1 WHERE id = 1")
                    _ = try await transaction.query("UPDATE t SET v = 0 WHERE id = 1")
                }
            }
            #expect(error?.sqlState == "40001")
            #expect(error?.isRetryable == true)
            #expect(runs.load(ordering: .relaxed) == 4)
        }
    }

    @Test("Two transactions that lock in opposite order both succeed in the end")
    func deadlock() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let bothHoldOne = Meeting(size: 2)
            let runs = try await withThrowingTaskGroup(of: Int.self) { group in
                for (first, second) in [(1, 2), (2, 1)] {
                    group.addTask { try await lock(first, then: second, client, bothHoldOne) }
                }
                return try await group.reduce(0, +)
            }
            #expect(runs > 2)
            #expect(try await sum(client) == 4)
        }
    }

    /// Returns how often the transaction ran. In its first run it waits until the other holds a row too.
    private func lock(
        _ first: Int,
        then second: Int,
        _ client: PostgresClient,
        _ bothHoldOne: Meeting
    ) async throws -> Int {
        let runs = Atomic<Int>(0)
        try await client.withTransaction { transaction in
            let run = runs.wrappingAdd(1, ordering: .relaxed).newValue
            _ = try await transaction.query("SET LOCAL deadlock_timeout = '50ms'")
            _ = try await transaction.query("UPDATE t SET v = v + 1 WHERE id = \(first)")
            if run == 1 { await bothHoldOne.arrive() }
            _ = try await transaction.query("UPDATE t SET v = v + 1 WHERE id = \(second)")
        }
        return runs.load(ordering: .relaxed)
    }

    @Test("A connection lost while committing leaves the outcome unknown, and the error says so")
    func unknownCommit() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            for statement: PostgresQuery in [
                """
                CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$
                """,
                """
                CREATE CONSTRAINT TRIGGER dies AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION die()
                """,
            ] { _ = try await client.query(statement) }
            let runs = Atomic<Int>(0)
            let error = await #expect(throws: PostgresError.self) {
                try await client.withTransaction { transaction in
                    runs.wrappingAdd(1, ordering: .relaxed)
                    _ = try await transaction.query("UPDATE t SET v = 1 WHERE id = 1")
                }
            }
            #expect(error?.code == .connection)
            #expect(error?.mayHaveRun == true)
            #expect(runs.load(ordering: .relaxed) == 1)
            #expect(try await sum(client) == 0)
        }
    }

    @Test("A transaction whose connection is killed before the commit runs again on another")
    func lostBeforeCommit() async throws {
        try await TestPostgres.withDatabase { client in
            try await prepare(client)
            let runs = Atomic<Int>(0)
            try await client.withTransaction { transaction in
                _ = try await transaction.query("UPDATE t SET v = v + 1 WHERE id = 1")
                if runs.wrappingAdd(1, ordering: .relaxed).newValue == 1 {
                    let id = try await transaction.query("SELECT pg_backend_pid()")[0].decode(Int.self)
                    _ = try await client.query("SELECT pg_terminate_backend(\(id)::int, 5000)")
                }
                _ = try await transaction.query("UPDATE t SET v = v + 1 WHERE id = 2")
            }
            #expect(runs.load(ordering: .relaxed) == 2)
            #expect(try await sum(client) == 2)
        }
    }

    @Test("A connection left in a transaction is closed and not given to the next caller")
    func leftOpen() async throws {
        try await TestPostgres.withDatabase {
            $0.poolSize = 1
        } _: { client in
            let left = try await client.withConnection { connection in
                try await connection.script("BEGIN")
                return await connection.backendProcessID
            }
            #expect(try await client.query("SELECT pg_backend_pid()")[0].decode(Int32.self) != left)
        }
    }
}

/// Callers who arrive wait until all have.
private actor Meeting {
    private let size: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(size: Int) {
        self.size = size
    }

    func arrive() async {
        await withCheckedContinuation { continuation in
            waiting.append(continuation)
            guard waiting.count == size else { return }
            for one in waiting { one.resume() }
        }
    }
}
