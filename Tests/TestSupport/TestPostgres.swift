import Foundation
import Logging
package import Postgres
import Synchronization

/// Fresh databases for tests, on the server that `HOLDFAST_TEST_DATABASE_URL` names.
///
/// The first use in a process makes a template and migrates it; every test then gets a copy of it, in some tens of
/// milliseconds, and drops it at its end. All names carry the number of the run. The run holds an advisory lock on that
/// number as long as it lives, so a later run knows the leftovers of a dead one, and drops them.
package enum TestPostgres {
    package static let url: String? = ProcessInfo.processInfo.environment["HOLDFAST_TEST_DATABASE_URL"]
        .flatMap { $0.isEmpty ? nil : $0 }

    package static var isConfigured: Bool { url != nil }

    /// The package's own `Migrations` folder.
    package static let migrationsDirectory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Migrations").path

    /// Runs `body` with a client of a fresh, migrated database.
    ///
    /// - Parameter configure: changes to the client's configuration, for tests of limits and deadlines.
    package static func withDatabase<R>(
        configure: (inout PostgresConfiguration) -> Void = { _ in },
        _ body: (PostgresClient) async throws -> R
    ) async throws -> R {
        try await withDatabaseURL { url in
            var configuration = try PostgresConfiguration(url: url)
            configuration.acquireTimeout = .seconds(30)
            configure(&configuration)
            return try await withClient(configuration, body)
        }
    }

    /// Runs `body` with the address of a fresh database, for tests that start processes or several clients.
    ///
    /// - Parameter isMigrated: without it the database is empty.
    package static func withDatabaseURL<R>(
        isMigrated: Bool = true,
        _ body: (String) async throws -> R
    ) async throws -> R {
        await places.enter()
        defer { places.leave() }
        let run = try await TestPostgresRun.shared()
        let name = "\(run.prefix)_\(counter.wrappingAdd(1, ordering: .relaxed).newValue)"
        let template = isMigrated ? "\(run.prefix)_template" : "template0"
        try await run.administer("CREATE DATABASE \(name) TEMPLATE \(template)")
        let result: Result<R, any Error>
        do {
            result = .success(try await body(TestPostgresRun.address(of: name, on: run.url)))
        } catch {
            result = .failure(error)
        }
        try await run.administer("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        return try result.get()
    }

    /// Runs `body` with a client, and the client beside it.
    package static func withClient<R>(
        _ configuration: PostgresConfiguration,
        _ body: (PostgresClient) async throws -> R
    ) async throws -> R {
        let client = PostgresClient(configuration: configuration, logger: Logger(label: "test.postgres"))
        // Awaited below, on every path.
        let running = Task { try await client.run() }
        let result: Result<R, any Error>
        do {
            result = .success(try await body(client))
        } catch {
            result = .failure(error)
        }
        running.cancel()
        _ = await running.result
        return try result.get()
    }

    private static let counter = Atomic<Int>(0)
    /// The server has 300 connections and several test processes may share it; a client has 8.
    private static let places = TestPlaces(count: 10)
}

/// What one test process keeps on the server: its lock, its number, its template.
private struct TestPostgresRun: Sendable {
    let url: String
    let prefix: String
    /// Held as long as the process lives, because it holds the lock.
    let keeper: PostgresConnection

    private static let task = Mutex<Task<TestPostgresRun, any Error>?>(nil)

    /// Made by the first test that asks; the others await the same task.
    static func shared() async throws -> TestPostgresRun {
        let task = task.withLock { task in
            let running = task ?? Task { try await TestPostgresRun() }
            task = running
            return running
        }
        return try await task.value
    }

    private init() async throws {
        guard let url = TestPostgres.url else {
            throw PostgresError(.configuration, "HOLDFAST_TEST_DATABASE_URL is not set")
        }
        self.url = url
        let number = Int64.random(in: 1...Int64.max)
        let digits = String(number, radix: 16)
        prefix = "hft_" + String(repeating: "0", count: 16 - digits.count) + digits
        keeper = try await Self.connect(url)
        _ = try await keeper.query("SELECT pg_advisory_lock(\(number)::bigint)")
        try await dropLeftovers()
        let template = "\(prefix)_template"
        try await administer("CREATE DATABASE \(template) TEMPLATE template0")
        var migrations: [Migration] = []
        if FileManager.default.fileExists(atPath: TestPostgres.migrationsDirectory) {
            // While the parts of a schema are written side by side, a number may be missing here.
            migrations = try PostgresMigrator.load(
                directory: TestPostgres.migrationsDirectory,
                isContiguous: false
            )
        }
        let configuration = try PostgresConfiguration(url: Self.address(of: template, on: url))
        let client = PostgresClient(configuration: configuration, logger: Logger(label: "test.postgres"))
        _ = try await PostgresMigrator(client: client, migrations: migrations).migrate(dryRun: false)
    }

    /// Runs a statement that no transaction may hold, on a connection of its own.
    func administer(_ sql: String) async throws {
        let connection = try await Self.connect(url)
        // A test that was cancelled must still drop its database.
        try await Task { try await connection.script(sql, timeout: .seconds(60)) }.value
        await connection.close()
    }

    private func dropLeftovers() async throws {
        let rows = try await keeper.query(
            #"SELECT datname::text FROM pg_database WHERE datname LIKE 'hft\_%' ORDER BY 1"#
        )
        for row in rows {
            let name = try row.decode(String.self)
            let digits = name.dropFirst(4).prefix(16)
            guard !name.hasPrefix(prefix), let number = Int64(digits, radix: 16) else { continue }
            let locked = try await keeper.query("SELECT pg_try_advisory_lock(\(number)::bigint)")
            guard try locked[0].decode(Bool.self) else { continue }
            try? await administer("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
            _ = try await keeper.query("SELECT pg_advisory_unlock(\(number)::bigint)")
        }
    }

    private static func connect(_ url: String) async throws -> PostgresConnection {
        var configuration = try PostgresConfiguration(url: url)
        // Copying a template may wait for a checkpoint on a busy machine.
        configuration.statementTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(20)
        return try await PostgresConnection.connect(
            configuration: configuration,
            logger: Logger(label: "test.postgres")
        )
    }

    /// The same address with another database.
    static func address(of database: String, on url: String) throws -> String {
        guard var components = URLComponents(string: url), components.scheme?.hasPrefix("postgres") == true else {
            throw PostgresError(.configuration, "HOLDFAST_TEST_DATABASE_URL must be a postgresql:// address")
        }
        components.path = "/\(database)"
        guard let address = components.string else {
            throw PostgresError(.configuration, "HOLDFAST_TEST_DATABASE_URL cannot be changed")
        }
        return address
    }
}

/// Lets so many tests in at a time; the others wait in order of arrival.
private final class TestPlaces: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(count: Int) {
        state = Mutex(State(free: count))
    }

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free > 0 else {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
