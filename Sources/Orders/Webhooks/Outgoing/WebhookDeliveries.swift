package import HoldfastCore
package import Postgres

/// What became of the messages to `WEBHOOK_URL`, for administrators.
package struct WebhookDeliveries: Sendable {
    package struct Parked: Sendable, Equatable {
        package let id: String
        package let reservation: ReservationID
        package let change: OrderChange
        package let createdAt: ServerTime
        package let attempts: Int
        package let lastError: String?
    }

    package struct Summary: Sendable, Equatable {
        package let due: Int
        package let parked: Int
        /// When the oldest message that is due was written.
        package let oldestDueAt: ServerTime?
    }

    private let postgres: PostgresClient

    package init(postgres: PostgresClient) { self.postgres = postgres }

    package func summary() async throws -> Summary {
        let rows = try await postgres.query(
            """
            SELECT count(*) FILTER (WHERE d.status = 'due'), count(*) FILTER (WHERE d.status = 'parked'),
                (extract(epoch FROM min(l.at) FILTER (WHERE d.status = 'due')) * 1000)::bigint
            FROM webhook_deliveries d JOIN order_log l ON l.id = d.log_id WHERE d.status <> 'delivered'
            """
        )
        let (due, parked, oldest) = try rows.first?.decode((Int, Int, Int64?).self) ?? (0, 0, nil)
        return Summary(
            due: due,
            parked: parked,
            oldestDueAt: oldest.map { ServerTime(millisecondsSinceEpoch: $0) }
        )
    }

    /// The messages that were given up, oldest first.
    package func parked(atMost limit: Int) async throws -> [Parked] {
        let rows = try await postgres.query(
            """
            SELECT d.message_id::text, d.reservation_id::text, l.change, (extract(epoch FROM l.at) * 1000)::bigint,
                d.attempts, d.last_error
            FROM webhook_deliveries d JOIN order_log l ON l.id = d.log_id
            WHERE d.status = 'parked' ORDER BY d.log_id LIMIT \(limit)::bigint
            """
        )
        return try rows.map { row in
            let (id, reservation, change, atMs, attempts, lastError) = try row.decode(
                (String, String, String, Int64, Int, String?).self
            )
            guard let reservation = ReservationID(reservation), let change = OrderChange(rawValue: change) else {
                throw PostgresError(.decoding, "webhooks: a row that no release of ours wrote")
            }
            return Parked(
                id: id,
                reservation: reservation,
                change: change,
                createdAt: ServerTime(millisecondsSinceEpoch: atMs),
                attempts: attempts,
                lastError: lastError
            )
        }
    }

    /// Sends again what was given up, with all attempts anew.
    ///
    /// - Returns: how many messages are due again.
    package func retryParked() async throws -> Int {
        try await postgres.query(
            """
            UPDATE webhook_deliveries SET status = 'due', attempts = 0, next_at = clock_timestamp(), settled_at = NULL
            WHERE status = 'parked'
            """
        ).affectedRows
    }
}
