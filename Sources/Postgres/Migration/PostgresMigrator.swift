/// What a run of the migrator did, or with `dryRun` would do.
package struct MigrationReport: Sendable, Equatable {
    /// Applied by this run, or in a dry run still to apply, in order.
    package var applied: [Migration]
    /// Applied before.
    package var alreadyApplied: [Int]

    package init(applied: [Migration], alreadyApplied: [Int]) {
        self.applied = applied
        self.alreadyApplied = alreadyApplied
    }
}

/// Brings the schema to the newest version: every file once, in order, each in a transaction of its own.
///
/// Several instances may start at once. One holds an advisory lock and applies; the others wait and find nothing left.
/// What was applied is written down with its checksum, and a file that was changed or removed after it was applied is
/// refused: migrations go forward only.
package struct PostgresMigrator: Sendable {
    private let client: PostgresClient
    private let migrations: [Migration]
    /// How long to wait for another instance to finish its migrations.
    private let lockTimeout: Duration
    /// How long one migration may take.
    private let migrationTimeout: Duration

    /// The advisory lock of all migrators of one database: "holdfast" in ASCII.
    private static let lockKey: Int64 = 0x686F_6C64_6661_7374

    package init(
        client: PostgresClient,
        migrations: [Migration],
        lockTimeout: Duration = .seconds(300),
        migrationTimeout: Duration = .seconds(300)
    ) {
        self.client = client
        self.migrations = migrations.sorted { $0.version < $1.version }
        self.lockTimeout = lockTimeout
        self.migrationTimeout = migrationTimeout
    }

    /// - Parameter dryRun: say what would be applied, and change nothing.
    /// - Throws: ``PostgresError`` with code `migration` if files and database disagree, or the server's error with the
    ///   name of the file that it refused. Files before that one stay applied.
    package func migrate(dryRun: Bool) async throws -> MigrationReport {
        // A connection outside the pool: its session lock and its time limit end with it, whatever happens.
        let connection = try await PostgresConnection.connect(
            configuration: client.configuration,
            logger: client.logger
        )
        let report: MigrationReport
        do {
            report = try await migrate(on: connection, dryRun: dryRun)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return report
    }

    private func migrate(on connection: PostgresConnection, dryRun: Bool) async throws -> MigrationReport {
        if dryRun {
            let applied = try await appliedMigrations(on: connection)
            return MigrationReport(applied: try pending(after: applied), alreadyApplied: applied.map(\.version))
        }
        try await lock(connection)
        try await connection.script(
            """
            CREATE TABLE IF NOT EXISTS holdfast_migrations (
                version integer PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            )
            """
        )
        let applied = try await appliedMigrations(on: connection)
        let pending = try pending(after: applied)
        for migration in pending { try await apply(migration, on: connection) }
        return MigrationReport(applied: pending, alreadyApplied: applied.map(\.version))
    }

    /// Asks again and again instead of waiting in the server, where a waiting statement would hold a snapshot and run
    /// into the statement's time limit.
    private func lock(_ connection: PostgresConnection) async throws {
        let deadline = ContinuousClock.now + lockTimeout
        while true {
            let result = try await connection.query("SELECT pg_try_advisory_lock(\(Self.lockKey)::bigint)")
            if try result[0].decode(Bool.self) { return }
            guard .now < deadline else {
                throw PostgresError(
                    .migration,
                    "migrate: another instance holds the lock for over \(lockTimeout)",
                    isRetryable: true
                )
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private struct Applied {
        let version: Int
        let name: String
        let checksum: String
    }

    private func appliedMigrations(on connection: PostgresConnection) async throws(PostgresError) -> [Applied] {
        let table = try await connection.query("SELECT to_regclass('holdfast_migrations')::text")
        let name: String? = try table[0].decode("to_regclass", as: String?.self)
        guard name != nil else { return [] }
        var applied: [Applied] = []
        for row in try await connection.query(
            "SELECT version, name, checksum FROM holdfast_migrations ORDER BY version"
        ) {
            let (version, name, checksum) = try row.decode((Int, String, String).self)
            applied.append(Applied(version: version, name: name, checksum: checksum))
        }
        return applied
    }

    /// Compares the files with what was applied, and returns the rest.
    private func pending(after applied: [Applied]) throws(PostgresError) -> [Migration] {
        for (before, migration) in zip(migrations, migrations.dropFirst()) where before.version == migration.version {
            throw PostgresError(.migration, "migrate: the number \(migration.version) is given twice")
        }
        let files = Dictionary(uniqueKeysWithValues: migrations.map { ($0.version, $0) })
        for known in applied {
            guard let file = files[known.version] else {
                throw PostgresError(
                    .migration,
                    "migrate: \(known.name) was applied and its file is missing; restore it, or update"
                )
            }
            guard file.checksum == known.checksum else {
                throw PostgresError(
                    .migration,
                    "migrate: \(known.name) was changed after it was applied; restore it and add a new one"
                )
            }
        }
        let newest = applied.last?.version ?? 0
        let pending = migrations.filter { migration in !applied.contains { $0.version == migration.version } }
        if let late = pending.first, late.version < newest {
            throw PostgresError(
                .migration,
                "migrate: \(late.name) was never applied, but \(newest) was; give it a number above"
            )
        }
        return pending
    }

    private func apply(_ migration: Migration, on connection: PostgresConnection) async throws {
        do {
            try await connection.script("BEGIN; SET LOCAL statement_timeout = 0")
            try await connection.script(migration.sql, timeout: migrationTimeout)
            guard await connection.isInTransaction else {
                throw PostgresError(.migration, "migrate: \(migration.name) must not begin or end transactions")
            }
            _ = try await connection.query(
                """
                INSERT INTO holdfast_migrations (version, name, checksum)
                VALUES (\(migration.version), \(migration.name), \(migration.checksum))
                """
            )
            try await connection.script("COMMIT")
        } catch var error as PostgresError {
            // The connection is closed after an error, which rolls back.
            error.message = "migrate: \(migration.name): \(error.message)"
            throw error
        }
    }
}
