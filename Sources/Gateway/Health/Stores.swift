import HoldfastCore
import Logging
import Postgres
import Redis

/// Asks the stores whether they serve, and PostgreSQL for the time.
struct Stores: Sendable {
    let postgres: PostgresClient
    let redis: RedisClient

    struct Store: Encodable, Sendable, Equatable {
        enum Status: String, Encodable, Sendable {
            case ok
            case down
            /// The tables are missing: `holdfast migrate` makes them.
            case notMigrated = "not-migrated"
        }

        let status: Status
        let version: String?
    }

    struct Report: Sendable, Equatable {
        let postgresql: Store
        let redis: Store

        var isOk: Bool { postgresql.status == .ok && redis.status == .ok }
    }

    /// - Bounds: the clients' own deadlines, 2 s.
    func report() async -> Report {
        async let postgresql = askPostgres()
        async let redis = askRedis()
        return await Report(postgresql: postgresql, redis: redis)
    }

    private func askPostgres() async -> Store {
        let asked = ServerTime.now
        let row = try? await postgres.query(
            """
            SELECT current_setting('server_version'), to_regclass('reservations') IS NOT NULL,
                   (extract(epoch FROM clock_timestamp()) * 1000)::bigint
            """
        ).first?.decode((String, Bool, Int64).self)
        guard let (version, isMigrated, milliseconds) = row else { return Store(status: .down, version: nil) }
        SharedClock.learn(
            ServerTime(millisecondsSinceEpoch: milliseconds),
            asked: asked,
            answered: .now
        )
        return Store(status: isMigrated ? .ok : .notMigrated, version: version)
    }

    private func askRedis() async -> Store {
        guard let info = try? await redis.send(RedisCommand("INFO", "server")).string else {
            return Store(status: .down, version: nil)
        }
        let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("redis_version:") }
        return Store(status: .ok, version: line.map { String($0.dropFirst(14)) } ?? "unknown")
    }
}
