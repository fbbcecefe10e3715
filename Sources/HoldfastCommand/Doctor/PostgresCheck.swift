import Gateway
import HoldfastCore
import Orders
import Postgres

/// PostgreSQL: reachable, new enough, migrated, and the role no more than it needs to be.
struct PostgresCheck: Sendable {
    let postgres: PostgresClient
    let settings: Settings

    func findings() async -> [Finding] {
        do {
            let before = ServerTime.now.millisecondsSinceEpoch
            let row = try await postgres.query(
                """
                SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
                    (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_is_in_recovery(),
                    current_setting('max_connections')::integer,
                    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
                """
            ).first
            let after = ServerTime.now.millisecondsSinceEpoch
            guard let row else { return [.failed("PostgreSQL", "gave no answer", mend: "check DATABASE_URL")] }
            let (number, version, timeMs, isReplica, connections, isSuperuser) =
                try row.decode((Int, String, Int64, Bool, Int, Bool).self)
            return [
                server(number, version, isReplica, connections),
                ClockCheck.finding("PostgreSQL", storeMs: timeMs, before: before, after: after),
                role(isSuperuser),
            ] + (await schema())
        } catch {
            return [
                .failed("PostgreSQL", "\(error)", mend: "start it, and check DATABASE_URL and the way there")
            ]
        }
    }

    private func server(_ number: Int, _ version: String, _ isReplica: Bool, _ connections: Int) -> Finding {
        if number < 150_000 { return .failed("PostgreSQL", "version \(version)", mend: "use version 15 or later") }
        if isReplica {
            return .failed("PostgreSQL", "is a replica and takes no writes", mend: "point DATABASE_URL at the primary")
        }
        let size = postgres.configuration.poolSize
        if connections < size * 2 {
            return .warning(
                "PostgreSQL",
                "version \(version), \(connections) connections",
                mend: "raise max_connections: each instance takes up to \(size)"
            )
        }
        return .ok("PostgreSQL", "version \(version), \(connections) connections, each instance takes up to \(size)")
    }

    private func role(_ isSuperuser: Bool) -> Finding {
        guard isSuperuser else { return .ok("PostgreSQL role", "no superuser") }
        let mend = "use the role of Deploy/postgres/role.sql"
        let detail = "is a superuser, who may change the audit log"
        return settings.environment == .production
            ? .failed("PostgreSQL role", detail, mend: mend) : .warning("PostgreSQL role", detail, mend: mend)
    }

    private func schema() async -> [Finding] {
        do {
            let folder = try Installation.folder("Migrations", override: "HOLDFAST_MIGRATIONS")
            let migrations = try PostgresMigrator.load(directory: folder)
            let report = try await PostgresMigrator(client: postgres, migrations: migrations).migrate(dryRun: true)
            guard report.applied.isEmpty else {
                return [
                    .failed(
                        "migrations",
                        "\(report.applied.count) are not applied, the first is \(report.applied[0].name)",
                        mend: "run 'holdfast migrate', then Deploy/postgres/grants.sql if you use that role"
                    )
                ]
            }
            return [.ok("migrations", "all \(report.alreadyApplied.count) applied"), try await webhooks()]
        } catch {
            return [.failed("migrations", "\(error)", mend: "run the release that the database was migrated with")]
        }
    }

    private func webhooks() async throws -> Finding {
        let summary = try await WebhookDeliveries(postgres: postgres).summary()
        guard summary.parked > 0 else { return .ok("webhooks", "\(summary.due) due, none given up") }
        return .warning(
            "webhooks",
            "\(summary.parked) were given up",
            mend: "see GET /api/admin/webhooks, mend the receiver, then POST /api/admin/webhooks/retry"
        )
    }
}
