package import Events
package import HoldfastCore
import Postgres

package enum ReservationStatus: String, Sendable, CaseIterable {
    case pending, paying, paid, expired, cancelled, refunded
}

/// Seats that one person ordered in one go.
package struct Reservation: Sendable, Equatable {
    package var id: ReservationID
    package var event: EventID
    package var user: UserID
    package var status: ReservationStatus
    /// In layout order, at the price they were ordered for.
    package var seats: [Seat]
    /// In the currency's smallest unit that the event counts in.
    package var totalAmount: Int64
    package var currency: String
    /// When a pending reservation ends, by PostgreSQL's clock.
    package var expiresAt: ServerTime
    package var createdAt: ServerTime
    package var paidAt: ServerTime?
    /// Which taking of the seats is the current one.
    var claimNumber: Int
}

/// Reading reservations, seats included, in one statement.
enum ReservationRows {
    /// Columns of a reservation `r`, for ``decode(_:)``. The seats come as parallel arrays, in layout order.
    static let columns = """
        r.id::text, r.event_id::text, r.user_id, r.status, r.total_amount, r.currency, r.claim_number,
        r.expires_at, r.created_at, r.paid_at, s.ids, s.sections, s.rows, s.numbers, s.prices, s.ordinals
        """

    static let seats = """
        CROSS JOIN LATERAL (
            SELECT array_agg(seats.seat_id ORDER BY ordinal) AS ids,
                array_agg(section ORDER BY ordinal) AS sections,
                array_agg(row_number ORDER BY ordinal) AS rows,
                array_agg(seat_number ORDER BY ordinal) AS numbers,
                array_agg(c.price ORDER BY ordinal) AS prices,
                array_agg(ordinal ORDER BY ordinal) AS ordinals
            FROM seat_claims c JOIN seats ON seats.event_id = c.event_id AND seats.seat_id = c.seat_id
            WHERE c.reservation_id = r.id
        ) AS s
        """

    static func decode(_ row: PostgresRow) throws -> Reservation {
        func corrupt(_ column: String) -> PostgresError {
            PostgresError(.decoding, "reservation: column \"\(column)\" holds a value that no release of ours wrote")
        }
        guard let id = ReservationID(try row.decode("id", as: String.self)) else { throw corrupt("id") }
        guard let event = EventID(try row.decode("event_id", as: String.self)) else { throw corrupt("event_id") }
        guard let user = UserID(try row.decode("user_id", as: String.self)) else { throw corrupt("user_id") }
        guard let status = ReservationStatus(rawValue: try row.decode("status", as: String.self)) else {
            throw corrupt("status")
        }
        let ids = try row.decode("ids", as: [String].self)
        let sections = try row.decode("sections", as: [String].self)
        let rows = try row.decode("rows", as: [Int].self)
        let numbers = try row.decode("numbers", as: [Int].self)
        let prices = try row.decode("prices", as: [Int64].self)
        let ordinals = try row.decode("ordinals", as: [Int].self)
        let seats = try ids.indices.map { index in
            guard let seat = SeatID(ids[index]) else { throw corrupt("ids") }
            return Seat(
                id: seat,
                section: sections[index],
                row: rows[index],
                number: numbers[index],
                price: prices[index],
                ordinal: ordinals[index]
            )
        }
        return Reservation(
            id: id,
            event: event,
            user: user,
            status: status,
            seats: seats,
            totalAmount: try row.decode("total_amount", as: Int64.self),
            currency: try row.decode("currency", as: String.self),
            expiresAt: try time(row.decode("expires_at", as: PostgresTimestamp.self)),
            createdAt: try time(row.decode("created_at", as: PostgresTimestamp.self)),
            paidAt: try row.decode("paid_at", as: PostgresTimestamp?.self).map(time),
            claimNumber: try row.decode("claim_number", as: Int.self)
        )
    }

    private static func time(_ timestamp: PostgresTimestamp) -> ServerTime {
        ServerTime(millisecondsSinceEpoch: timestamp.millisecondsSinceEpoch)
    }
}
