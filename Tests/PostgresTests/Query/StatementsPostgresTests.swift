import Postgres
import TestSupport
import Testing

@Suite("Statements on a real server", .enabled(if: TestPostgres.isConfigured), .timeLimit(.minutes(20)))
struct StatementsPostgresTests {
    @Test("Two hundred callers share eight connections and each gets its own answer")
    func concurrent() async throws {
        try await TestPostgres.withDatabase { client in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        try await client.query("SELECT \(number)::int")[0].decode(Int.self) == number
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
            let count = try await client.query(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            #expect(try count[0].decode(Int.self) <= 8)
        }
    }

    @Test("Columns are found by name, and affected rows are counted")
    func names() async throws {
        try await TestPostgres.withDatabase { client in
            _ = try await client.query("CREATE TABLE t (id int, seat text)")
            let inserted = try await client.query(
                "INSERT INTO t SELECT * FROM unnest(\([1, 2, 3])::int[], \(["a", "b", "c"])::text[])"
            )
            #expect(inserted.affectedRows == 3)
            let rows = try await client.query("SELECT id, seat FROM t ORDER BY id")
            let seats = try rows.map { row in try row.decode("seat", as: String.self) }
            #expect(seats == ["a", "b", "c"])
            let missing = #expect(throws: PostgresError.self) { try rows[0].decode("price", as: Int.self) }
            #expect(missing?.code == .decoding)
        }
    }

    @Test("A timestamp comes back exact, whatever the server's own time zone")
    func timestamps() async throws {
        try await TestPostgres.withDatabase { client in
            for milliseconds: Int64 in [0, -1, 1_792_000_000_123, -62_135_596_800_000, 253_402_300_800_000] {
                let timestamp = PostgresTimestamp(millisecondsSinceEpoch: milliseconds)
                let row = try await client.query(
                    "SELECT \(timestamp)::timestamptz, (extract(epoch FROM \(timestamp)::timestamptz) * 1000)::bigint"
                )[0]
                let (same, epoch) = try row.decode((PostgresTimestamp, Int64).self)
                #expect(same == timestamp)
                #expect(epoch == milliseconds)
            }
        }
    }

    @Test("An error names column and type or the constraint, and its description quotes no value")
    func errors() async throws {
        try await TestPostgres.withDatabase { client in
            let secret = "hunter2"
            let row = try await client.query("SELECT \(secret)::text AS word")[0]
            let wrong = #expect(throws: PostgresError.self) { try row.decode("word", as: Int.self) }
            #expect(wrong?.description.contains("\"word\" should be bigint") == true)
            #expect(wrong?.description.contains(secret) == false)
            _ = try await client.query("CREATE TABLE t (word text CONSTRAINT word_once UNIQUE)")
            _ = try await client.query("INSERT INTO t VALUES (\(secret))")
            let double = await #expect(throws: PostgresError.self) {
                try await client.query("INSERT INTO t VALUES (\(secret))")
            }
            #expect(double?.constraint == "word_once")
            #expect(double?.isUniqueViolation == true)
            #expect(double?.isRetryable == false)
            #expect(double?.mayHaveRun == false)
            #expect(double?.description.contains(secret) == false)
            #expect(double?.debugDescription.contains(secret) == true)
        }
    }

    @Test("Text with a zero byte is refused before it is sent, and the connection stays good")
    func zeroByte() async throws {
        try await TestPostgres.withDatabase { client in
            let text = "a\0b"
            let error = await #expect(throws: PostgresError.self) { try await client.query("SELECT \(text)::text") }
            #expect(error?.code == .encoding)
            let one = try await client.query("SELECT 1")[0].decode(Int.self)
            #expect(one == 1)
        }
    }

    @Test("Prepared statements stay within their bound, and a statement survives a change of its table")
    func preparedStatements() async throws {
        try await TestPostgres.withDatabase {
            $0.statementCacheSize = 3
            $0.poolSize = 1
        } _: { client in
            for number in 0..<20 {
                let query = PostgresQuery(sql: "SELECT \(number)")
                #expect(try await client.query(query)[0].decode(Int.self) == number)
            }
            let count = try await client.query("SELECT count(*) FROM pg_prepared_statements")
            #expect(try count[0].decode(Int.self) <= 5)
            _ = try await client.query("CREATE TABLE t (a int)")
            #expect(try await client.query("SELECT * FROM t").isEmpty)
            _ = try await client.query("ALTER TABLE t ADD b int")
            #expect(try await client.query("SELECT * FROM t").isEmpty)
        }
    }

    @Test("A large result and large parameters pass whole")
    func large() async throws {
        try await TestPostgres.withDatabase { client in
            let text = String(repeating: "x", count: 3_000_000)
            let rows = try await client.query("SELECT \(text)::text FROM generate_series(1, 10)")
            for row in rows { #expect(try row.decode(String.self) == text) }
        }
    }

    // MARK: Deadlines and cancellation

    @Test("A statement that takes too long is cancelled at the server, and its connection is used again")
    func deadline() async throws {
        try await TestPostgres.withDatabase {
            $0.statementTimeout = .seconds(2)
            $0.poolSize = 1
        } _: { client in
            let before = try await client.query("SELECT pg_backend_pid()")[0].decode(Int.self)
            let error = await #expect(throws: PostgresError.self) { try await client.query("SELECT pg_sleep(30)") }
            #expect(error?.code == .statementTimeout)
            let after = try await client.query("SELECT pg_backend_pid()")[0].decode(Int.self)
            #expect(after == before)
        }
    }

    @Test("Cancelling the caller cancels its statement at the server, and its connection is used again")
    func cancellation() async throws {
        try await TestPostgres.withDatabase {
            $0.poolSize = 2
        } _: { client in
            let sleeper = Task { try await client.query("SELECT pg_sleep(30), 'sleeper'") }
            let isAsleep: PostgresQuery = """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event = 'PgSleep' AND query LIKE '%sleeper%'
                """
            while try await client.query(isAsleep)[0].decode(Int.self) == 0 { await Task.yield() }
            sleeper.cancel()
            let result = await sleeper.result
            let error = #expect(throws: PostgresError.self) { try result.get() }
            #expect(error?.code == .cancelled)
            #expect(try await client.query(isAsleep)[0].decode(Int.self) == 0)
            let connections = try await client.query(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            #expect(try connections[0].decode(Int.self) == 2)
        }
    }

    @Test("With every connection leased, one caller waits until its patience ends and one too many is refused at once")
    func exhaustion() async throws {
        try await TestPostgres.withDatabase {
            $0.poolSize = 1
            $0.maxWaiters = 1
            $0.acquireTimeout = .seconds(3)
        } _: { client in
            try await client.withConnection { _ in
                async let first = Self.code { try await client.query("SELECT 1") }
                async let second = Self.code { try await client.query("SELECT 1") }
                let codes = await [first, second]
                #expect(codes.contains(.poolExhausted))
                #expect(codes.contains(.acquireTimeout))
            }
            #expect(try await client.query("SELECT 1")[0].decode(Int.self) == 1)
        }
    }

    private static func code(_ body: () async throws -> PostgresResult) async -> PostgresError.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? PostgresError)?.code
        }
    }
}
