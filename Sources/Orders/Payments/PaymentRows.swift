import HoldfastCore
import Postgres

enum PaymentStatus: String, Sendable {
    case started, succeeded, declined
    case refundDue = "refund_due"
    case refunded
}

/// Reading payments.
enum PaymentRows {
    struct Payment: Sendable {
        let attempt: PaymentAttempt
        let status: PaymentStatus
    }

    static let columns = "id::text, reservation_id::text, method, amount, currency, status, started_at"
    static let missing = PostgresError(.decoding, "payments: the attempt just written cannot be read")

    static func decode(_ row: PostgresRow) throws -> Payment {
        let (id, reservation, method, amount, currency, status, startedAt) =
            try row.decode((String, String, String, Int64, String, String, PostgresTimestamp).self)
        guard let id = PaymentID(id), let reservation = ReservationID(reservation),
            let status = PaymentStatus(rawValue: status)
        else { throw PostgresError(.decoding, "payments: a row that no release of ours wrote") }
        return Payment(
            attempt: PaymentAttempt(
                id: id,
                reservation: reservation,
                method: method,
                amount: amount,
                currency: currency,
                startedAt: ServerTime(millisecondsSinceEpoch: startedAt.millisecondsSinceEpoch)
            ),
            status: status
        )
    }
}
