package import Events
package import HoldfastCore
import Postgres

/// What was sold of an event, as PostgreSQL has it now.
package struct SalesReport: Sendable, Equatable {
    package struct Section: Sendable, Equatable {
        package let name: String
        package let revenue: Int64
        package let sold: Int
        package let pending: Int
        package let available: Int
    }

    package let event: EventID
    package let currency: String
    /// Of paid seats, in the currency's smallest unit that the event counts in.
    package let revenue: Int64
    package let sold: Int
    /// Reserved and not paid yet.
    package let pending: Int
    /// Neither; holds count as available, because PostgreSQL does not know them.
    package let available: Int
    /// In layout order.
    package let bySection: [Section]
}

/// A seat that somebody has ordered.
package struct SoldSeat: Sendable, Equatable {
    package let id: String
    package let section: String
    package let row: Int
    package let number: Int
    package let ordinal: Int
    package let price: Int64
    package let status: ReservationStatus
    package let user: String
    package let reservation: ReservationID
    package let createdAt: ServerTime
    package let paidAt: ServerTime?
}

extension Orders {
    /// Whether anybody ever ordered from an event.
    package func existAny(of event: EventID) async throws -> Bool {
        try await !postgres.query("SELECT 1 FROM reservations WHERE event_id = \(event.rawValue)::uuid LIMIT 1").isEmpty
    }

    /// Seats that are reserved or sold, in layout order, after the one with a certain ordinal.
    package func soldSeats(of event: EventID, after ordinal: Int, limit: Int) async throws -> [SoldSeat] {
        let rows = try await postgres.query(
            """
            SELECT s.seat_id, s.section, s.row_number, s.seat_number, s.ordinal, c.price, r.status, r.user_id,
                r.id::text, (extract(epoch FROM r.created_at) * 1000)::bigint,
                (extract(epoch FROM r.paid_at) * 1000)::bigint
            FROM seats s
            JOIN seat_claims c ON c.event_id = s.event_id AND c.seat_id = s.seat_id AND c.live
            JOIN reservations r ON r.id = c.reservation_id
            WHERE s.event_id = \(event.rawValue)::uuid AND s.ordinal > \(ordinal)
            ORDER BY s.ordinal LIMIT \(limit)
            """
        )
        return try rows.map { row in
            let (id, section, number, seatNumber, ordinal, price, status, user, reservation, createdMs, paidMs) =
                try row.decode((String, String, Int, Int, Int, Int64, String, String, String, Int64, Int64?).self)
            guard let status = ReservationStatus(rawValue: status), let reservation = ReservationID(reservation) else {
                throw PostgresError(.decoding, "report: a row that no release of ours wrote")
            }
            return SoldSeat(
                id: id,
                section: section,
                row: number,
                number: seatNumber,
                ordinal: ordinal,
                price: price,
                status: status,
                user: user,
                reservation: reservation,
                createdAt: ServerTime(millisecondsSinceEpoch: createdMs),
                paidAt: paidMs.map { ServerTime(millisecondsSinceEpoch: $0) }
            )
        }
    }

    package func report(of event: Event) async throws -> SalesReport {
        let rows = try await postgres.query(
            """
            SELECT s.section,
                coalesce(sum(c.price) FILTER (WHERE r.status = 'paid'), 0)::bigint,
                count(*) FILTER (WHERE r.status = 'paid'),
                count(*) FILTER (WHERE r.status IN ('pending', 'paying')),
                count(*) FILTER (WHERE c.seat_id IS NULL AND NOT s.blocked)
            FROM seats s
            LEFT JOIN seat_claims c ON c.event_id = s.event_id AND c.seat_id = s.seat_id AND c.live
            LEFT JOIN reservations r ON r.id = c.reservation_id
            WHERE s.event_id = \(event.id.rawValue)::uuid
            GROUP BY s.section ORDER BY min(s.ordinal)
            """
        )
        let sections = try rows.map { row in
            let (name, revenue, sold, pending, available) = try row.decode((String, Int64, Int, Int, Int).self)
            return SalesReport.Section(
                name: name,
                revenue: revenue,
                sold: sold,
                pending: pending,
                available: available
            )
        }
        return SalesReport(
            event: event.id,
            currency: event.currency,
            revenue: sections.reduce(0) { $0 + $1.revenue },
            sold: sections.reduce(0) { $0 + $1.sold },
            pending: sections.reduce(0) { $0 + $1.pending },
            available: sections.reduce(0) { $0 + $1.available },
            bySection: sections
        )
    }
}
