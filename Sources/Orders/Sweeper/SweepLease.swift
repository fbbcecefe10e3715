import Foundation
import Postgres

/// Elects the one instance that follows up orders: the holder of a row that runs out.
///
/// All that the holder does needs PostgreSQL, so the lease is there: orders end in time also while Redis is away. Two at
/// once would do no harm, only the same work twice; row locks and claims keep them apart.
///
/// - Bounds: another takes over within ``ttl`` of the holder's death.
actor SweepLease {
    static let ttl = Duration.seconds(2)

    private let postgres: PostgresClient
    private let name: String
    private let holder = UUID()
    private var ends: ContinuousClock.Instant?

    init(postgres: PostgresClient, name: String) {
        self.postgres = postgres
        self.name = name
    }

    /// Whether this instance does the work now. Asks PostgreSQL only when half of the lease is over.
    func isHeld() async throws -> Bool {
        let now = ContinuousClock.now
        if let ends, now < ends - Self.ttl / 2 { return true }
        let taken = try await postgres.query(
            """
            INSERT INTO leases AS known (name, holder, until)
            SELECT \(name), \(holder)::uuid, clock_timestamp() + \(Self.ttl.components.seconds)::bigint * interval '1 second'
            WHERE NOT EXISTS (
                SELECT 1 FROM leases WHERE name = \(name) AND holder <> \(holder)::uuid AND until > clock_timestamp()
            )
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE known.holder = excluded.holder OR known.until <= clock_timestamp()
            """
        )
        ends = taken.affectedRows == 1 ? now + Self.ttl : nil
        return ends != nil
    }

    /// Lets another begin at once.
    func giveBack() async {
        ends = nil
        _ = try? await postgres.query(
            "UPDATE leases SET until = '-infinity' WHERE name = \(name) AND holder = \(holder)::uuid"
        )
    }
}
