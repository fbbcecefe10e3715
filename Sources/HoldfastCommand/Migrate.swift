import ArgumentParser
import Gateway
import Postgres

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Applies Migrations/*.sql in order, once each.",
        discussion: "Several instances may do so at once; a lock lets one at a time. Needs DATABASE_URL."
    )

    @Flag(help: "Only list what would be applied.")
    var dryRun = false

    func run() async throws {
        let dryRun = dryRun
        let folder = try Installation.folder("Migrations", override: "HOLDFAST_MIGRATIONS")
        try await CommandContext.withSlices { slices in
            let migrations = try PostgresMigrator.load(directory: folder)
            let report = try await PostgresMigrator(client: slices.postgres, migrations: migrations)
                .migrate(dryRun: dryRun)
            for migration in report.applied {
                print("\(dryRun ? "would apply" : "applied") \(migration.name)")
            }
            if report.applied.isEmpty { print("the schema is up to date") }
        }
    }
}
