import Events
import HoldfastCore
import Logging
import Postgres
import Seating

extension Orders {
    /// Applies a provider's word to an attempt, from whichever way it came.
    ///
    /// - Returns: the reservation, nil if there is no such attempt.
    func settle(_ payment: PaymentID, _ result: PaymentResult) async throws -> ReservationID? {
        let settled = try await postgres.withTransaction { transaction in
            try await self.settle(payment, result, in: transaction)
        }
        if let settled { await tellRedis(about: [settled]) }
        return settled
    }

    /// The same within a transaction of the caller, who then calls ``tellRedis(about:)``.
    func settle(
        _ id: PaymentID,
        _ result: PaymentResult,
        in transaction: PostgresTransaction
    ) async throws -> ReservationID? {
        let owner = try await transaction.query(
            "SELECT reservation_id::text FROM payments WHERE id = \(id.rawValue)::uuid"
        )
        guard let row = owner.first, let reservationID = ReservationID(try row.decode(String.self)),
            // The reservation's lock orders everything that happens to it and to its payments.
            let reservation = try await locked(reservationID, in: transaction)
        else { return nil }
        let rows = try await transaction.query(
            "SELECT \(unescaped: PaymentRows.columns) FROM payments WHERE id = \(id.rawValue)::uuid FOR UPDATE"
        )
        guard let payment = try rows.first.map(PaymentRows.decode) else { return nil }
        switch result {
        case .pending: break
        case .declined:
            guard payment.status == .started else { break }  // Money that came is not undone by a late refusal.
            try await setStatus(.declined, of: id, in: transaction)
            if reservation.status == .paying { try await setStatus(.pending, of: reservation.id, in: transaction) }
        case .succeeded:
            guard payment.status == .started || payment.status == .declined else { break }  // Counted already.
            try await succeed(payment, reservation, in: transaction)
        }
        return reservationID
    }

    private func succeed(
        _ payment: PaymentRows.Payment,
        _ reservation: Reservation,
        in transaction: PostgresTransaction
    ) async throws {
        switch reservation.status {
        case .paying where payment.status == .started, .pending:
            try await setStatus(.succeeded, of: payment.attempt.id, in: transaction)
            try await markPaid(reservation, claim: reservation.claimNumber, in: transaction)
        case .expired, .cancelled:
            // The money came too late. The seats again if nobody has them, else it goes back.
            let claim = try await SoldSeats.reclaim(
                reservation.seats.map(\.id),
                reservation: reservation.id,
                event: reservation.event,
                in: transaction
            )
            guard let claim else { fallthrough }
            try await setStatus(.succeeded, of: payment.attempt.id, in: transaction)
            try await markPaid(reservation, claim: claim, in: transaction)
            _ = try await transaction.query(Outbox.add(.reserve, of: [reservation.id]))
        case .paying, .paid, .refunded:
            // Another attempt pays or has paid: this one's money goes back.
            try await setStatus(.refundDue, of: payment.attempt.id, in: transaction)
        }
    }

    private func setStatus(
        _ status: PaymentStatus,
        of payment: PaymentID,
        in transaction: PostgresTransaction
    ) async throws {
        _ = try await transaction.query(
            """
            UPDATE payments SET status = \(status.rawValue), settled_at = clock_timestamp(),
                check_at = clock_timestamp()
            WHERE id = \(payment.rawValue)::uuid
            """
        )
    }

    private func setStatus(
        _ status: ReservationStatus,
        of reservation: ReservationID,
        in transaction: PostgresTransaction
    ) async throws {
        _ = try await transaction.query(
            "UPDATE reservations SET status = \(status.rawValue) WHERE id = \(reservation.rawValue)::uuid"
        )
    }

    private func markPaid(
        _ reservation: Reservation,
        claim: Int,
        in transaction: PostgresTransaction
    ) async throws {
        _ = try await transaction.query(
            """
            UPDATE reservations
            SET status = 'paid', paid_at = date_trunc('milliseconds', clock_timestamp()), claim_number = \(claim)
            WHERE id = \(reservation.id.rawValue)::uuid
            """
        )
    }

    // MARK: Following up

    /// Asks the provider about attempts that got no answer, and sends back money that is due, at most 50 of both.
    ///
    /// An attempt is asked about after 5 s, then again when it is twice as old, at most hourly.
    ///
    /// - Returns: how many were looked at.
    package func followUpPayments() async throws -> Int {
        let rows = try await postgres.query(
            """
            UPDATE payments
            SET check_at = clock_timestamp()
                + least(greatest(clock_timestamp() - started_at, interval '1 second'), interval '1 hour')
            WHERE id IN (
                SELECT id FROM payments
                WHERE status IN ('started', 'refund_due') AND check_at <= clock_timestamp()
                ORDER BY check_at LIMIT 50 FOR UPDATE SKIP LOCKED
            ) RETURNING \(unescaped: PaymentRows.columns)
            """
        )
        for payment in try rows.map(PaymentRows.decode) {
            do {
                try await followUp(payment)
            } catch {
                // The others must not wait for this one; it is asked about again.
                logger.debug("payment not followed up", metadata: ["error.type": "\(type(of: error))"])
            }
        }
        return rows.count
    }

    private func followUp(_ payment: PaymentRows.Payment) async throws {
        guard payment.status == .refundDue else {
            let result = try await payments.result(of: payment.attempt)
            if result != .pending { _ = try await settle(payment.attempt.id, result) }
            return
        }
        try await payments.refund(payment.attempt)
        try await postgres.withTransaction { transaction in
            _ = try await self.locked(payment.attempt.reservation, in: transaction)
            try await self.setStatus(.refunded, of: payment.attempt.id, in: transaction)
            _ = try await transaction.query(
                """
                UPDATE reservations SET status = 'refunded'
                WHERE id = \(payment.attempt.reservation.rawValue)::uuid AND status IN ('expired', 'cancelled')
                """
            )
        }
    }
}
