import HoldfastCore
import Logging
import Postgres
import Seating

/// What Redis must be told after a commit.
///
/// A row is written in the transaction that changes the reservation and deleted when Redis has answered. The one who
/// committed tells Redis at once; a row that remains, because that one died or Redis was away, is drained by the
/// ``OrderSweeper``, event by event: a busy or broken event keeps no other one waiting. Rows may be carried out twice, late or out of order: the scripts remember claims given back and
/// which claim of a seat is the latest, for rows of one seat are numbered in the order of their transactions.
enum Outbox {
    enum Action: String {
        case reserve, free
    }

    /// How many rows one round carries out, and how many of one event.
    static let batch = 500
    static let batchOfEvent = 50

    static func add(_ action: Action, of reservations: [ReservationID]) -> PostgresQuery {
        """
        INSERT INTO outbox (event_id, reservation_id, claim_number, action)
        SELECT event_id, id, claim_number, \(action.rawValue) FROM reservations
        WHERE id = ANY(\(reservations.map(\.rawValue))::uuid[])
        """
    }

    struct Row: Sendable {
        let id: Int64
        let event: EventID
        let user: UserID
        let claim: ClaimID
        let action: Action
        let seats: [SeatID]
        /// Whether the claim still stands. One given back meanwhile is not announced any more.
        let isLive: Bool
        /// The life of the seat state when that was true.
        let epoch: Int64
    }

    static let columns = """
        SELECT o.id, o.event_id::text, r.user_id, o.reservation_id::text, o.claim_number, o.action,
            array_agg(c.seat_id ORDER BY c.seat_id),
            bool_and(c.live AND c.claim_number = o.claim_number),
            coalesce((SELECT epoch FROM seat_epochs WHERE seat_epochs.event_id = o.event_id), 0)
        FROM outbox o
        JOIN reservations r ON r.id = o.reservation_id
        JOIN seat_claims c ON c.reservation_id = o.reservation_id
        """

    static func decode(_ row: PostgresRow) throws -> Row {
        let (id, event, user, reservation, number, action, seats, isLive, epoch) =
            try row.decode((Int64, String, String, String, Int, String, [String], Bool, Int64).self)
        guard let event = EventID(event), let user = UserID(user), let reservation = ReservationID(reservation),
            let action = Action(rawValue: action)
        else { throw PostgresError(.decoding, "outbox: a row that no release of ours wrote") }
        return Row(
            id: id,
            event: event,
            user: user,
            claim: ClaimID(reservation: reservation, number: number),
            action: action,
            seats: seats.compactMap { SeatID($0) },
            isLive: isLive,
            epoch: epoch
        )
    }
}

extension Orders {
    /// Tells Redis what was just committed. A failure is only logged: the sweeper will do it.
    func tellRedis(about reservations: [ReservationID]) async {
        do {
            // A second look after a rebuild, which the first one may have met or caused.
            for _ in 0..<2 {
                let rows = try await postgres.query(
                    """
                    \(unescaped: Outbox.columns)
                    WHERE o.reservation_id = ANY(\(reservations.map(\.rawValue))::uuid[])
                    GROUP BY o.id, r.user_id ORDER BY o.id
                    """
                )
                var isDone = true
                for rows in Dictionary(grouping: try rows.map(Outbox.decode), by: \.event).values {
                    isDone = try await carryOut(rows) && isDone
                }
                if isDone { return }
            }
        } catch {
            logger.debug("outbox left to the sweeper", metadata: ["error": "\(error)"])
        }
    }

    /// Carries out the oldest rows of each event, the events side by side.
    ///
    /// - Returns: how many rows were carried out; as many as ``Outbox/batch`` means that there may be more.
    package func drainOutbox() async throws -> Int {
        let rows = try await postgres.query(
            """
            \(unescaped: Outbox.columns)
            WHERE o.id IN (
                SELECT due.id FROM (SELECT DISTINCT event_id FROM outbox) AS events CROSS JOIN LATERAL (
                    SELECT id FROM outbox WHERE outbox.event_id = events.event_id ORDER BY id
                    LIMIT \(Outbox.batchOfEvent)
                ) AS due LIMIT \(Outbox.batch)
            )
            GROUP BY o.id, r.user_id ORDER BY o.id
            """
        )
        let byEvent = Dictionary(grouping: try rows.map(Outbox.decode), by: \.event)
        return await withTaskGroup(of: Int.self) { group in
            for rows in byEvent.values {
                group.addTask {
                    do {
                        return try await self.carryOut(rows) ? rows.count : 0
                    } catch {
                        self.logger.debug("outbox not drained", metadata: ["error": "\(error)"])
                        return 0
                    }
                }
            }
            return await group.reduce(0, +)
        }
    }

    /// Rows of one event, in order. One that fails stays, and so do the later ones.
    ///
    /// - Returns: false when rows were left because the seat state was rebuilt since they were read.
    private func carryOut(_ rows: [Outbox.Row]) async throws -> Bool {
        var done: [Int64] = []
        var isRebuilt = false
        var failure: (any Error)?
        for row in rows {
            do {
                guard try await carryOut(row) else {
                    isRebuilt = true
                    break
                }
                done.append(row.id)
            } catch {
                failure = error
                break
            }
        }
        if !done.isEmpty {
            _ = try await postgres.query("DELETE FROM outbox WHERE id = ANY(\(done)::bigint[])")
            metrics.outbox(told: done.count)
        }
        if let failure {
            metrics.outboxFailed()
            throw failure
        }
        return !isRebuilt
    }

    private func carryOut(_ row: Outbox.Row) async throws -> Bool {
        switch row.action {
        case .reserve where row.isLive:
            return try await seating.markReserved(
                row.seats,
                claim: row.claim,
                order: row.id,
                user: row.user,
                in: row.event,
                epoch: row.epoch
            )
        case .reserve: break
        case .free:
            return try await seating.free(row.seats, claim: row.claim, in: row.event, epoch: row.epoch)
        }
        return true
    }
}
