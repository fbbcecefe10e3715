import Foundation
import Logging
import Postgres
import TestSupport
import Testing

@Suite("Migrations on a real server", .enabled(if: TestPostgres.isConfigured), .timeLimit(.minutes(20)))
struct MigratorPostgresTests {
    private let first = Migration(
        version: 1,
        name: "0001_one",
        sql: "CREATE TABLE one (a int); INSERT INTO one VALUES (1);"
    )
    private let second = Migration(version: 2, name: "0002_two", sql: "-- More.\nINSERT INTO one VALUES (2);")

    private func withEmptyDatabase<R>(_ body: (PostgresClient) async throws -> R) async throws -> R {
        try await TestPostgres.withDatabaseURL(isMigrated: false) { url in
            try await TestPostgres.withClient(try PostgresConfiguration(url: url), body)
        }
    }

    @Test("Eight instances that start at once apply every file once")
    func concurrent() async throws {
        try await withEmptyDatabase { client in
            let migrations = [first, second]
            let applied = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await PostgresMigrator(client: client, migrations: migrations).migrate(dryRun: false)
                            .applied.count
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(applied.sorted() == [0, 0, 0, 0, 0, 0, 0, 2])
            #expect(try await client.query("SELECT count(*) FROM one")[0].decode(Int.self) == 2)
        }
    }

    @Test("A dry run says what would be applied and changes nothing")
    func dryRun() async throws {
        try await withEmptyDatabase { client in
            let migrator = PostgresMigrator(client: client, migrations: [first, second])
            #expect(try await migrator.migrate(dryRun: true).applied == [first, second])
            #expect(try await client.query("SELECT to_regclass('one')::text")[0].decode(String?.self) == nil as String?)
            _ = try await PostgresMigrator(client: client, migrations: [first]).migrate(dryRun: false)
            let report = try await migrator.migrate(dryRun: true)
            #expect(report == MigrationReport(applied: [second], alreadyApplied: [1]))
        }
    }

    @Test("A file that was changed, removed or inserted after the fact is refused by name")
    func disagreement() async throws {
        try await withEmptyDatabase { client in
            _ = try await PostgresMigrator(client: client, migrations: [first, second]).migrate(dryRun: false)
            let changed = Migration(version: 2, name: "0002_two", sql: "SELECT 1")
            for (migrations, word) in [([first, changed], "changed"), ([first], "missing")] {
                let error = await #expect(throws: PostgresError.self) {
                    try await PostgresMigrator(client: client, migrations: migrations).migrate(dryRun: false)
                }
                #expect(error?.code == .migration)
                #expect(error?.message.contains("0002_two") == true)
                #expect(error?.message.contains(word) == true)
            }
        }
    }

    @Test("A file that fails leaves nothing of itself, keeps the ones before, and is named")
    func failure() async throws {
        try await withEmptyDatabase { client in
            let broken = Migration(version: 2, name: "0002_broken", sql: "CREATE TABLE two (a int); SELECT 1 / 0;")
            let error = await #expect(throws: PostgresError.self) {
                try await PostgresMigrator(client: client, migrations: [first, broken]).migrate(dryRun: false)
            }
            #expect(error?.sqlState == "22012")
            #expect(error?.message.contains("0002_broken") == true)
            let committing = Migration(version: 2, name: "0002_commits", sql: "COMMIT")
            await #expect(throws: PostgresError.self) {
                try await PostgresMigrator(client: client, migrations: [first, committing]).migrate(dryRun: false)
            }
            let report = try await PostgresMigrator(client: client, migrations: [first, second]).migrate(dryRun: false)
            #expect(report.alreadyApplied == [1])
            let two = try await client.query("SELECT to_regclass('two') IS NULL")
            #expect(try two[0].decode(Bool.self))
        }
    }

    @Test("Files are read in order; a gap, a number given twice or a strange name is an error")
    func load() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String) throws {
            try Data("SELECT 1;".utf8).write(to: folder.appendingPathComponent(name))
        }
        try write("0002_b.sql")
        try write("0001_a.sql")
        try write("README.md")
        #expect(try PostgresMigrator.load(directory: folder.path).map(\.name) == ["0001_a", "0002_b"])
        try write("0004_d.sql")
        #expect(throws: PostgresError.self) { try PostgresMigrator.load(directory: folder.path) }
        try write("0003_c.sql")
        try write("0003_d.sql")
        #expect(throws: PostgresError.self) { try PostgresMigrator.load(directory: folder.path) }
        try FileManager.default.removeItem(at: folder.appendingPathComponent("0003_d.sql"))
        try write("5_e.sql")
        #expect(throws: PostgresError.self) { try PostgresMigrator.load(directory: folder.path) }
    }
}
