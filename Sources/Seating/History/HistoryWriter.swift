import HoldfastCore
package import Logging
package import Postgres
package import Redis
import ServiceLifecycle

/// Moves what became of holds from Redis to PostgreSQL: one instance at a time, every half second.
///
/// Some events after others all through that half second, so that a busy sale is no burst of work twice a second; only
/// what falls behind is moved without a rest.
package struct HistoryWriter: Service {
    private static let interval: Duration = .milliseconds(500)
    private static let eventsAtOnce = 32

    private let history: SeatHistory
    private let postgres: PostgresClient
    private let lease: RedisLease
    private let logger: Logger

    package init(redis: RedisClient, postgres: PostgresClient, logger: Logger) {
        history = SeatHistory(redis: redis, postgres: postgres)
        self.postgres = postgres
        self.logger = logger
        lease = RedisLease(redis: redis, key: SeatingKeys.historyLease, logger: logger)
    }

    package func run() async throws {
        try await lease.whileHeld { await writeUntilCancelled() }
    }

    private func writeUntilCancelled() async {
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let start = clock.now
            do {
                let events = try await events()
                for first in stride(from: 0, to: events.count, by: Self.eventsAtOnce) {
                    let end = min(first + Self.eventsAtOnce, events.count)
                    while try await history.move(Array(events[first..<end])), !Task.isCancelled {}
                    try await clock.sleep(until: start + Self.interval * end / events.count)
                }
            } catch {
                logger.debug("seat history not moved", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(until: start + Self.interval)
        }
    }

    /// Events whose seats have a state. One that is closed takes no new holds, so a day later it has none left.
    private func events() async throws -> [EventID] {
        let rows = try await postgres.query(
            """
            SELECT events.id::text FROM events JOIN seat_epochs ON seat_epochs.event_id = events.id
            WHERE events.status <> 'closed' OR events.changed_at > clock_timestamp() - interval '2 days'
            """
        )
        return try rows.compactMap { EventID(try $0.decode(String.self)) }
    }
}
