package import HoldfastCore
import Postgres

extension Orders {
    /// Whether nothing of an event is under way: no order waits for money, and Redis was told everything.
    package func isSettled(_ event: EventID) async throws -> Bool {
        let rows = try await postgres.query(
            """
            SELECT NOT EXISTS (
                SELECT FROM reservations WHERE event_id = \(event.rawValue)::uuid AND status IN ('pending', 'paying')
            ) AND NOT EXISTS (SELECT FROM outbox WHERE event_id = \(event.rawValue)::uuid)
            """
        )
        return try rows.first?.decode(Bool.self) ?? false
    }
}
