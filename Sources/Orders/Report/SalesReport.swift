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

extension Orders {
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
