import Foundation
import HoldfastCore
import Postgres

/// A step of a reservation as `WEBHOOK_URL` hears of it.
struct WebhookMessage: Sendable {
    /// One step's, however often it is sent; receivers drop what they have seen.
    let id: String
    let logID: Int64
    /// This one included.
    let attempt: Int
    let body: [UInt8]

    private struct Body: Encodable {
        let id: String
        let type: String
        let createdAt: ServerTime
        let eventId: String
        let reservationId: String
        let userId: String
        let status: String
        let seatIds: [String]
        let totalAmount: Int64
        let currency: String
        let paymentId: String?
    }

    /// Takes messages that are due, oldest first, so that no other instance sends them too for `term`.
    ///
    /// Of one reservation only the first that is not settled: its messages come in the order of its steps.
    static func claim(atMost limit: Int, for term: Duration) -> PostgresQuery {
        """
        WITH claimed AS (
            UPDATE webhook_deliveries SET attempts = attempts + 1,
                next_at = clock_timestamp() + \(term.components.seconds)::bigint * interval '1 second'
            WHERE log_id IN (
                SELECT log_id FROM webhook_deliveries d
                WHERE status = 'due' AND next_at <= clock_timestamp() AND NOT EXISTS (
                    SELECT 1 FROM webhook_deliveries e
                    WHERE e.reservation_id = d.reservation_id AND e.status = 'due' AND e.log_id < d.log_id
                )
                ORDER BY next_at LIMIT \(limit) FOR UPDATE SKIP LOCKED
            ) RETURNING log_id, message_id, attempts
        )
        SELECT c.log_id, c.message_id::text, c.attempts, l.change, (extract(epoch FROM l.at) * 1000)::bigint,
            l.event_id::text, l.reservation_id::text, l.user_id, l.payment_id::text, r.total_amount, r.currency,
            ARRAY(SELECT seat_id FROM seat_claims s WHERE s.reservation_id = r.id ORDER BY seat_id)
        FROM claimed c JOIN order_log l ON l.id = c.log_id JOIN reservations r ON r.id = l.reservation_id
        ORDER BY c.log_id
        """
    }

    init(_ row: PostgresRow) throws {
        let (logID, id, attempt, change, atMs, event, reservation, user, payment, amount, currency, seats) =
            try row.decode(
                (
                    Int64, String, Int, String, Int64, String, String, String, String?, Int64, String, [String]
                ).self
            )
        guard let change = OrderChange(rawValue: change), let type = change.webhookType else {
            throw PostgresError(.decoding, "webhooks: a row that no release of ours wrote")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let body = Body(
            id: id,
            type: type,
            createdAt: ServerTime(millisecondsSinceEpoch: atMs),
            eventId: event,
            reservationId: reservation,
            userId: user,
            status: change.status.rawValue,
            seatIds: seats,
            totalAmount: amount,
            currency: currency,
            paymentId: payment
        )
        self.id = id
        self.logID = logID
        self.attempt = attempt
        self.body = Array(try encoder.encode(body))
    }
}

extension OrderChange {
    /// What the reservation is after this step.
    var status: ReservationStatus {
        switch self {
        case .created, .declined: .pending
        case .paying: .paying
        case .paid: .paid
        case .expired, .refundDue: .expired
        case .cancelled: .cancelled
        case .refunded: .refunded
        }
    }
}
