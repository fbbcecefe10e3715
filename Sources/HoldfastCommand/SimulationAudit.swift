import HoldfastCore
import Postgres

/// What the database must not hold when a play is over.
struct SimulationAudit: Sendable {
    private let postgres: PostgresClient
    private let event: String

    init(_ postgres: PostgresClient, _ event: String) {
        self.postgres = postgres
        self.event = event
    }

    /// Each finding in words; none when all is well.
    func findings() async -> [String] {
        var findings: [String] = []
        for (query, meaning) in Self.checks(event) {
            do {
                for row in try await postgres.query(query) {
                    findings.append("\(meaning): \(try row.decode(String.self))")
                }
            } catch {
                findings.append("not checked, \(meaning): \(error)")
            }
        }
        return findings
    }

    /// Each yields one row of text for every thing that must not be.
    private static func checks(_ event: String) -> [(PostgresQuery, String)] {
        [
            (
                """
                SELECT c.seat_id FROM seat_claims c JOIN reservations r ON r.id = c.reservation_id
                WHERE c.event_id = \(event)::uuid AND r.status IN ('pending', 'paying', 'paid')
                GROUP BY c.seat_id HAVING count(*) > 1
                """,
                "a seat with two live orders"
            ),
            (
                """
                SELECT r.id::text FROM reservations r WHERE r.event_id = \(event)::uuid AND r.status = 'paid'
                AND (SELECT count(*) FROM payments p WHERE p.reservation_id = r.id AND p.status = 'succeeded') <> 1
                """,
                "a paid order without exactly one payment"
            ),
            (
                """
                SELECT p.id::text FROM payments p JOIN reservations r ON r.id = p.reservation_id
                WHERE r.event_id = \(event)::uuid AND p.status = 'succeeded' AND r.status <> 'paid'
                """,
                "a payment that was taken for an order that is not paid"
            ),
            (
                """
                SELECT r.id::text FROM reservations r WHERE r.event_id = \(event)::uuid
                AND r.total_amount <> (SELECT coalesce(sum(c.price), 0) FROM seat_claims c
                                       WHERE c.reservation_id = r.id)
                """,
                "an order whose amount is not that of its seats"
            ),
        ]
    }
}
