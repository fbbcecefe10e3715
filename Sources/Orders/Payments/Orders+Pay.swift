package import HoldfastCore
import Logging
import Postgres

extension Orders {
    /// Pays a reservation: `pending → paying → paid`.
    ///
    /// The attempt is on disk before the provider is called, so a crash between the two leaves a trace that the
    /// ``OrderSweeper`` follows up. While it is `paying` a second call changes nothing, and the reservation does not
    /// expire. An unknown outcome is ``PayOutcome/pending(_:_:)``.
    package func pay(_ id: ReservationID, by user: UserID, method: String) async throws -> PayOutcome {
        guard payments.accepts(method: method) else { return .unknownMethod }
        let start: Start = try await postgres.withTransaction { transaction in
            try await self.startPayment(of: id, by: user, method: method, in: transaction)
        }
        guard case .charge(let attempt) = start else {
            guard case .answer(let outcome) = start else { return .notFound }
            return outcome
        }
        metrics.committed(.paying)
        let result: PaymentResult
        do {
            result = try await within(Self.providerDeadline) { try await self.payments.charge(attempt) } ?? .pending
        } catch {
            logger.debug("payment outcome unknown", metadata: ["error.type": "\(type(of: error))"])
            result = .pending
        }
        // The caller may have gone away; what the provider said must be written down all the same. Awaited here.
        return try await Task { try await self.settle(attempt.id, result, by: user) }.value
    }

    private enum Start: Sendable {
        case charge(PaymentAttempt)
        case answer(PayOutcome)
    }

    private func startPayment(
        of id: ReservationID,
        by user: UserID,
        method: String,
        in transaction: PostgresTransaction
    ) async throws -> Start {
        guard let reservation = try await locked(id, in: transaction), reservation.user == user else {
            return .answer(.notFound)
        }
        switch reservation.status {
        case .expired: return .answer(.expired)
        case .paying, .cancelled, .refunded: return .answer(.wrongState(reservation))
        case .paid:
            // A double click: the first one paid.
            let rows = try await transaction.query(
                "SELECT id::text FROM payments WHERE reservation_id = \(id.rawValue)::uuid AND status = 'succeeded'"
            )
            let payment = try rows.first.flatMap { PaymentID(try $0.decode(String.self)) }
            return .answer(payment.map { .paid($0, reservation) } ?? .wrongState(reservation))
        case .pending: break
        }
        let started = try await transaction.query(
            """
            UPDATE reservations SET status = 'paying'
            WHERE id = \(id.rawValue)::uuid AND expires_at > clock_timestamp()
            """
        )
        guard started.affectedRows == 1 else { return .answer(.expired) }
        let payment = PaymentID()
        let rows = try await transaction.query(
            """
            INSERT INTO payments (id, reservation_id, method, amount, currency)
            VALUES (
                \(payment.rawValue)::uuid, \(id.rawValue)::uuid, \(method), \(reservation.totalAmount)::bigint,
                \(reservation.currency)
            ) RETURNING \(unescaped: PaymentRows.columns)
            """
        )
        guard let row = rows.first else { throw PaymentRows.missing }
        _ = try await transaction.query(log(.paying, of: [id], payment: payment))
        return .charge(try PaymentRows.decode(row).attempt)
    }

    /// Writes down what the provider said in answer to ``pay(_:by:method:)``.
    private func settle(_ payment: PaymentID, _ result: PaymentResult, by user: UserID) async throws -> PayOutcome {
        let settled = try await settle(payment, result)
        guard let settled, let reservation = try await reservation(settled.reservation, of: user) else {
            return .notFound
        }
        // What is on disk is the answer: a webhook may have been faster than the provider's own reply.
        switch (reservation.status, result) {
        case (.paid, _): return .paid(payment, reservation)
        case (_, .declined(let detail)): return .declined(detail: detail)
        case (.paying, _): return .pending(payment, reservation)
        default: return .wrongState(reservation)
        }
    }
}
