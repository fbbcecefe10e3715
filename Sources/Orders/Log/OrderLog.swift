package import HoldfastCore
import Metrics
import Postgres

/// A step in the life of a reservation.
package enum OrderChange: String, Sendable, CaseIterable {
    case created
    /// An attempt to pay began.
    case paying
    /// The attempt failed; the reservation waits for another.
    case declined
    case paid, expired, cancelled
    /// Money came that pays for nothing any more.
    case refundDue = "refund_due"
    case refunded

    /// What the operator's other systems know it as; nil for steps that they are not told of.
    package var webhookType: String? {
        switch self {
        case .created: "order.created"
        case .declined: "order.payment_declined"
        case .paid: "order.paid"
        case .expired: "order.expired"
        case .cancelled: "order.cancelled"
        case .refunded: "order.refunded"
        case .paying, .refundDue: nil
        }
    }
}

/// The steps of all reservations, in a table that only grows: support reads it, webhooks are sent from it.
enum OrderLog {
    /// Writes a step in the transaction that takes it. The reservation's lock makes the rows of one come in order.
    ///
    /// - Parameter announces: whether there is anybody to tell.
    static func add(
        _ change: OrderChange,
        of reservations: [ReservationID],
        payment: PaymentID? = nil,
        announces: Bool
    ) -> PostgresQuery {
        """
        WITH added AS (
            INSERT INTO order_log (reservation_id, event_id, user_id, change, payment_id)
            SELECT id, event_id, user_id, \(change.rawValue), \(payment?.rawValue as String?)::uuid
            FROM reservations WHERE id = ANY(\(reservations.map(\.rawValue))::uuid[])
            RETURNING id, reservation_id
        )
        INSERT INTO webhook_deliveries (log_id, reservation_id)
        SELECT id, reservation_id FROM added WHERE \(announces && change.webhookType != nil)
        """
    }
}

/// Steps counted after their commit, made once per service.
struct OrderMetrics: Sendable {
    private let changes = Dictionary(
        uniqueKeysWithValues: OrderChange.allCases.map {
            ($0, Counter(label: "holdfast_orders_total", dimensions: [("change", $0.rawValue)]))
        }
    )
    private let told = Counter(label: "holdfast_outbox_rows_total", dimensions: [("outcome", "told")])
    private let failed = Counter(label: "holdfast_outbox_rows_total", dimensions: [("outcome", "failed")])

    func committed(_ change: OrderChange, _ count: Int = 1) { changes[change]?.increment(by: count) }
    func outbox(told count: Int) { told.increment(by: count) }
    func outboxFailed() { failed.increment() }
}

/// One line of a person's path through an event.
package struct OrderHistoryEntry: Sendable, Equatable {
    package let at: ServerTime
    package let change: OrderChange
    package let reservation: ReservationID
    package let payment: PaymentID?
    package let seats: [String]
}

extension Orders {
    /// The newest steps of a person's reservations in an event, oldest first.
    package func history(of user: UserID, in event: EventID, limit: Int) async throws -> [OrderHistoryEntry] {
        let rows = try await postgres.query(
            """
            SELECT (extract(epoch FROM l.at) * 1000)::bigint, l.change, l.reservation_id::text, l.payment_id::text,
                ARRAY(SELECT seat_id FROM seat_claims c WHERE c.reservation_id = l.reservation_id ORDER BY seat_id)
            FROM order_log l WHERE l.event_id = \(event.rawValue)::uuid AND l.user_id = \(user.rawValue)
            ORDER BY l.id DESC LIMIT \(limit)::bigint
            """
        )
        return try rows.reversed().map { row in
            let (atMs, change, reservation, payment, seats) = try row.decode(
                (Int64, String, String, String?, [String]).self
            )
            guard let change = OrderChange(rawValue: change), let reservation = ReservationID(reservation) else {
                throw PostgresError(.decoding, "order log: a row that no release of ours wrote")
            }
            return OrderHistoryEntry(
                at: ServerTime(millisecondsSinceEpoch: atMs),
                change: change,
                reservation: reservation,
                payment: payment.flatMap { PaymentID($0) },
                seats: seats
            )
        }
    }
}
