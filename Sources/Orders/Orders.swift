package import Events
package import HoldfastCore
package import Logging
package import Postgres
package import Seating

/// Reservations and their payment. PostgreSQL decides; Redis and people are told afterwards, through the outbox.
package final class Orders: Sendable {
    let postgres: PostgresClient
    let seating: Seating
    let payments: any PaymentProvider
    let webhookSecret: String?
    /// Whether somebody is to be told of each step; see ``WebhookSender``.
    let announces: Bool
    let metrics = OrderMetrics()
    let logger: Logger

    /// - Parameters:
    ///   - webhookSecret: `PAYMENT_WEBHOOK_SECRET`; without it every webhook is refused.
    ///   - announces: whether steps are written down for a ``WebhookSender``.
    package init(
        postgres: PostgresClient,
        seating: Seating,
        events: Events,
        payments: any PaymentProvider,
        webhookSecret: String?,
        announces: Bool = false,
        logger: Logger
    ) {
        self.postgres = postgres
        self.seating = seating
        self.events = events
        self.payments = payments
        self.webhookSecret = webhookSecret
        self.announces = announces
        self.logger = logger
    }

    let events: Events

    /// The steps of reservations, to be written in the transaction that takes them.
    func log(_ change: OrderChange, of reservations: [ReservationID], payment: PaymentID? = nil) -> PostgresQuery {
        OrderLog.add(change, of: reservations, payment: payment, announces: announces)
    }

    /// After a commit: counts the step, and tells Redis if seats moved.
    func committed(_ change: OrderChange, _ reservations: [ReservationID]) async {
        metrics.committed(change, reservations.count)
        await tellRedis(about: reservations)
    }

    // MARK: Reading

    /// Nil also for somebody else's: whose it is must not show.
    package func reservation(_ id: ReservationID, of user: UserID) async throws -> Reservation? {
        let rows = try await postgres.query(
            """
            SELECT \(unescaped: ReservationRows.columns)
            FROM reservations r \(unescaped: ReservationRows.seats)
            WHERE r.id = \(id.rawValue)::uuid AND r.user_id = \(user.rawValue)
            """
        )
        return try rows.first.map(ReservationRows.decode)
    }

    /// A person's reservations, newest first.
    ///
    /// - Parameters:
    ///   - cursor: the `nextCursor` of the page before, nil for the first.
    ///   - limit: 1 to 100; others are brought within.
    package func reservations(
        of user: UserID,
        after cursor: String?,
        limit: Int
    ) async throws -> ReservationPage {
        let limit = min(max(limit, 1), 100)
        var position = ReservationCursor.beforeFirst
        if let cursor {
            guard let parsed = ReservationCursor(cursor) else {
                throw Problem.invalid(.init("cursor", "is not one that this service gave out"))
            }
            position = parsed
        }
        let createdBefore = PostgresTimestamp(millisecondsSinceEpoch: position.createdAtMs)
        let rows = try await postgres.query(
            """
            SELECT \(unescaped: ReservationRows.columns)
            FROM reservations r \(unescaped: ReservationRows.seats)
            WHERE r.user_id = \(user.rawValue)
                AND (r.created_at, r.id) < (\(createdBefore)::timestamptz, \(position.id.rawValue)::uuid)
            ORDER BY r.created_at DESC, r.id DESC
            LIMIT \(limit + 1)
            """
        )
        var reservations = try rows.map(ReservationRows.decode)
        guard reservations.count > limit else { return ReservationPage(reservations: reservations, nextCursor: nil) }
        reservations.removeLast()
        let next = reservations.last.map {
            ReservationCursor(createdAtMs: $0.createdAt.millisecondsSinceEpoch, id: $0.id).text
        }
        return ReservationPage(reservations: reservations, nextCursor: next)
    }

    /// The reservation, locked until the transaction ends, whoever's it is.
    func locked(_ id: ReservationID, in transaction: PostgresTransaction) async throws -> Reservation? {
        let rows = try await transaction.query(
            """
            SELECT \(unescaped: ReservationRows.columns)
            FROM reservations r \(unescaped: ReservationRows.seats)
            WHERE r.id = \(id.rawValue)::uuid
            FOR UPDATE OF r
            """
        )
        return try rows.first.map(ReservationRows.decode)
    }
}

package struct ReservationPage: Sendable, Equatable {
    package let reservations: [Reservation]
    package let nextCursor: String?
}

/// The place between two reservations of a list: the creation time and the id of the one before.
struct ReservationCursor: Equatable {
    let createdAtMs: Int64
    let id: ReservationID

    /// The last day that ISO 8601 writes with four digits; nothing is newer.
    static let beforeFirst = ReservationCursor(createdAtMs: 253_402_300_799_000, id: ReservationID())

    init(createdAtMs: Int64, id: ReservationID) {
        self.createdAtMs = createdAtMs
        self.id = id
    }

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 60, parts.count == 2, let createdAtMs = Int64(parts[0]), createdAtMs >= 0,
            createdAtMs <= Self.beforeFirst.createdAtMs, let id = ReservationID(String(parts[1]))
        else { return nil }
        self.init(createdAtMs: createdAtMs, id: id)
    }

    var text: String { "\(createdAtMs).\(id)" }
}
