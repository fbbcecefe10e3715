package import HoldfastCore
package import Postgres

/// A seat and what it costs in this sale.
package struct PricedSeat: Hashable, Sendable {
    package let id: SeatID
    package let price: Int64

    package init(id: SeatID, price: Int64) {
        self.id = id
        self.price = price
    }
}

/// The taking of seats in PostgreSQL, as a part of somebody else's transaction.
///
/// The danger is two people who each believe that they hold a seat: Redis was wiped, failed over or forged, a process
/// slept through its hold. So nothing that Redis says is enough. Under row locks taken in one order, each seat must be
/// without a live claim, the grant must be of the current epoch and later than the last one that bought the seat. The
/// unique index stands behind all of it.
package enum SoldSeats {
    package enum Outcome: Sendable, Equatable {
        case claimed
        /// Somebody has them, or had them by a later grant.
        case unavailable([SeatID])
        /// The grant is of an earlier life of the seat state.
        case staleEpoch
        case limitExceeded
    }

    /// The advisory lock between claims (shared) and the raising of an event's epoch (exclusive).
    static func epochLock(_ event: EventID) -> String { "hf:seats:epoch:\(event)" }

    /// Claims seats that a person was granted in Redis.
    ///
    /// - Parameter maxSeats: how many live claims a person may have in the event, these included.
    package static func claim(
        _ seats: [PricedSeat],
        reservation: ReservationID,
        user: UserID,
        event: EventID,
        fence: Fence,
        maxSeats: Int,
        in transaction: PostgresTransaction
    ) async throws -> Outcome {
        let ids = seats.map(\.id.rawValue)
        let eventID = event.rawValue
        // One round trip. Each statement sees what was committed when it begins, so those after the locks see all.
        let results = try await transaction.pipeline([
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(\(epochLock(event)), 0))",
            "SELECT pg_advisory_xact_lock(hashtextextended(\("hf:seats:buyer:\(event):\(user)"), 0))",
            lockSeats(ids, eventID),
            "SELECT epoch FROM seat_epochs WHERE event_id = \(eventID)::uuid",
            liveClaims(ids, eventID),
            """
            SELECT seat_id FROM seat_fences
            WHERE event_id = \(eventID)::uuid AND seat_id = ANY(\(ids)::text[])
                AND (epoch, counter) >= (\(fence.epoch)::bigint, \(fence.counter)::bigint)
            """,
            """
            SELECT count(*) FROM seat_claims
            WHERE event_id = \(eventID)::uuid AND user_id = \(user.rawValue) AND live
            """,
        ])
        let known = Set(try self.ids(results[2]))
        guard known.count == Set(seats.map(\.id)).count else {
            return .unavailable(seats.map(\.id).filter { !known.contains($0) })
        }
        guard try results[3].first?.decode(Int64.self) == fence.epoch else { return .staleEpoch }
        let taken = try self.ids(results[4]) + self.ids(results[5])
        guard taken.isEmpty else { return .unavailable(Array(Set(taken)).sorted()) }
        let owned = try results[6].first?.decode(Int.self) ?? 0
        guard owned + seats.count <= maxSeats else { return .limitExceeded }
        _ = try await transaction.pipeline([
            """
            INSERT INTO seat_claims
                (reservation_id, event_id, seat_id, user_id, price, fence_epoch, fence_counter)
            SELECT \(reservation.rawValue)::uuid, \(eventID)::uuid, seat_id, \(user.rawValue), price,
                \(fence.epoch)::bigint, \(fence.counter)::bigint
            FROM unnest(\(ids)::text[], \(seats.map(\.price))::bigint[]) AS wanted (seat_id, price)
            """,
            """
            INSERT INTO seat_fences (event_id, seat_id, epoch, counter)
            SELECT \(eventID)::uuid, seat_id, \(fence.epoch)::bigint, \(fence.counter)::bigint
            FROM unnest(\(ids)::text[]) AS wanted (seat_id)
            ON CONFLICT (event_id, seat_id) DO UPDATE SET epoch = excluded.epoch, counter = excluded.counter
            """,
        ])
        return .claimed
    }

    /// Claims the seats of a reservation again after they were given back, if nobody has any of them.
    ///
    /// For money that arrived after the end. No hold stands behind it, so the fences stay as they are: a hold that was
    /// granted meanwhile loses against the claim.
    ///
    /// - Returns: the number of the new claim, nil if a seat is taken.
    package static func reclaim(
        _ seats: [SeatID],
        reservation: ReservationID,
        event: EventID,
        in transaction: PostgresTransaction
    ) async throws -> Int? {
        let ids = seats.map(\.rawValue)
        let results = try await transaction.pipeline([
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(\(epochLock(event)), 0))",
            lockSeats(ids, event.rawValue),
            liveClaims(ids, event.rawValue),
        ])
        guard results[2].isEmpty else { return nil }
        let claimed = try await transaction.query(
            """
            UPDATE seat_claims
            SET live = true, claim_number = claim_number + 1, claimed_at = clock_timestamp()
            WHERE reservation_id = \(reservation.rawValue)::uuid AND NOT live
            RETURNING claim_number
            """
        )
        return try claimed.first?.decode(Int.self)
    }

    /// Gives back the seats of reservations. Those given back already are passed over.
    package static func release(
        _ reservations: [ReservationID],
        in transaction: PostgresTransaction
    ) async throws {
        _ = try await transaction.query(
            """
            UPDATE seat_claims SET live = false
            WHERE reservation_id = ANY(\(reservations.map(\.rawValue))::uuid[]) AND live
            """
        )
    }

    /// The letter of every place by its ordinal, as PostgreSQL alone knows it: `r` claimed or off sale, `a` otherwise.
    static func letters(of event: EventID, in postgres: PostgresClient) async throws -> [UInt8] {
        let rows = try await postgres.query(
            """
            SELECT coalesce(
                string_agg(CASE WHEN s.blocked OR c.seat_id IS NOT NULL THEN 'r' ELSE 'a' END, '' ORDER BY s.ordinal), ''
            )
            FROM seats s
            LEFT JOIN seat_claims c ON c.event_id = s.event_id AND c.seat_id = s.seat_id AND c.live
            WHERE s.event_id = \(event.rawValue)::uuid
            """
        )
        return Array((try rows.first?.decode(String.self) ?? "").utf8)
    }

    /// Those that exist and are on sale, in one order for everybody, so that two transactions never wait for each other.
    private static func lockSeats(_ ids: [String], _ event: String) -> PostgresQuery {
        """
        SELECT seat_id FROM seats
        WHERE event_id = \(event)::uuid AND seat_id = ANY(\(ids)::text[]) AND NOT blocked
        ORDER BY seat_id FOR NO KEY UPDATE
        """
    }

    private static func liveClaims(_ ids: [String], _ event: String) -> PostgresQuery {
        "SELECT seat_id FROM seat_claims WHERE event_id = \(event)::uuid AND seat_id = ANY(\(ids)::text[]) AND live"
    }

    private static func ids(_ result: PostgresResult) throws -> [SeatID] {
        try result.compactMap { SeatID(try $0.decode(String.self)) }
    }
}
