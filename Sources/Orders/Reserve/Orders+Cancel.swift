package import HoldfastCore
import Postgres
import Seating

extension Orders {
    /// Gives the seats of a pending reservation back. Cancelling again is no change.
    package func cancel(_ id: ReservationID, by user: UserID) async throws -> CancelOutcome {
        let (outcome, isNew): (CancelOutcome, Bool) = try await postgres.withTransaction { transaction in
            guard var reservation = try await self.locked(id, in: transaction), reservation.user == user else {
                return (.notFound, false)
            }
            switch reservation.status {
            case .cancelled: return (.cancelled(reservation), false)
            case .paying, .paid, .expired, .refunded: return (.wrongState(reservation), false)
            case .pending: break
            }
            _ = try await transaction.query(
                "UPDATE reservations SET status = 'cancelled' WHERE id = \(id.rawValue)::uuid"
            )
            try await SoldSeats.release([id], in: transaction)
            _ = try await transaction.pipeline([Outbox.add(.free, of: [id]), self.log(.cancelled, of: [id])])
            reservation.status = .cancelled
            return (.cancelled(reservation), true)
        }
        if isNew { await committed(.cancelled, [id]) }
        return outcome
    }

    static let expiryBatch = 200

    /// Ends pending reservations whose time is over, by PostgreSQL's clock, at most ``expiryBatch``.
    ///
    /// Only pending ones: a payment under way keeps its seats.
    ///
    /// - Returns: how many ended.
    package func expireDue() async throws -> Int {
        let expired: [ReservationID] = try await postgres.withTransaction { transaction in
            let rows = try await transaction.query(
                """
                UPDATE reservations SET status = 'expired' WHERE id IN (
                    SELECT id FROM reservations
                    WHERE status = 'pending' AND expires_at <= clock_timestamp()
                    ORDER BY expires_at LIMIT \(Self.expiryBatch) FOR UPDATE SKIP LOCKED
                ) RETURNING id::text
                """
            )
            let ids = try rows.compactMap { ReservationID(try $0.decode(String.self)) }
            guard !ids.isEmpty else { return [] }
            try await SoldSeats.release(ids, in: transaction)
            _ = try await transaction.pipeline([Outbox.add(.free, of: ids), self.log(.expired, of: ids)])
            return ids
        }
        if !expired.isEmpty { await committed(.expired, expired) }
        return expired.count
    }
}
