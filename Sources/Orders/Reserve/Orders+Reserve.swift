package import Events
package import HoldfastCore
import Logging
import Postgres
import Seating

extension Orders {
    /// Orders seats that the person holds: from here on they are theirs until the reservation ends.
    ///
    /// Redis is asked whether they are held, and with which grant; one PostgreSQL transaction then decides (see
    /// ``SoldSeats``). Redis and everyone in the seat room are told after the commit. If that fails, the outbox does it
    /// later: the reservation stands.
    ///
    /// - Parameter idempotencyKey: 1 to 255 bytes, any text; remembered per person for 48 hours. A refusal is not
    ///   remembered: the same key may be sent again once the reason is gone.
    /// - Throws: ``Problem`` with `invalid` for no seats, too many, or a key out of bounds.
    package func reserve(
        _ seats: [SeatID],
        by user: UserID,
        in event: Event,
        idempotencyKey key: String
    ) async throws -> ReserveOutcome {
        guard (1...IdempotencyKeys.maxKeyBytes).contains(key.utf8.count), !key.utf8.contains(0) else {
            throw Problem.invalid(.init("Idempotency-Key", "must be 1 to \(IdempotencyKeys.maxKeyBytes) bytes"))
        }
        guard !seats.isEmpty, seats.count <= Seating.maxSeatsPerRequest else {
            throw Problem.invalid(.init("seatIds", "must be 1 to \(Seating.maxSeatsPerRequest) seats"))
        }
        let wish = Wish(
            seats: Set(seats).sorted(),
            user: user,
            event: event,
            key: key,
            hash: IdempotencyKeys.hash(seats, in: event.id)
        )
        if let answer = try await earlierAnswer(wish) { return answer }
        let layout = try await events.layout(of: event)
        let unknown = wish.seats.filter { layout.seat($0) == nil }
        guard unknown.isEmpty else { return .unknownSeats(unknown) }
        guard event.status == .open || event.status == .paused else { return .notOpen }
        switch try await seating.verifyHeld(wish.seats, by: user, in: event) {
        case .notHeld(let missing):
            // The same request may have been answered while we asked, and taken the seats out of the hold.
            return try await earlierAnswer(wish) ?? .notHeld(missing)
        case .held(let fence, _):
            let prices = wish.seats.compactMap { id in layout.seat(id).map { PricedSeat(id: id, price: $0.price) } }
            let outcome = try await claim(wish, prices, fence)
            if case .created(let reservation) = outcome { await committed(.created, [reservation.id]) }
            return outcome
        }
    }

    /// What one request asks for.
    private struct Wish: Sendable {
        let seats: [SeatID]
        let user: UserID
        let event: Event
        let key: String
        let hash: [UInt8]
    }

    private func earlierAnswer(_ wish: Wish) async throws -> ReserveOutcome? {
        let rows = try await postgres.query(IdempotencyKeys.lookUp(wish.key, of: wish.user))
        switch try IdempotencyKeys.earlier(rows, hash: wish.hash) {
        case .none: return nil
        case .otherRequest: return .keyReused
        case .answered(let id): return try await reservation(id, of: wish.user).map { .repeated($0.asCreated) }
        }
    }

    private func claim(_ wish: Wish, _ prices: [PricedSeat], _ fence: Fence) async throws -> ReserveOutcome {
        do {
            return try await postgres.withTransaction { transaction in
                try await self.claim(wish, prices, fence, in: transaction)
            }
        } catch let refusal as Refusal {
            return refusal.outcome
        } catch let error as PostgresError where error.isUniqueViolation {
            // The locks make this next to impossible; the index makes it harmless.
            return try await earlierAnswer(wish) ?? .unavailable(wish.seats)
        }
    }

    /// Thrown to roll back what a refused claim has done so far.
    private struct Refusal: Error {
        let outcome: ReserveOutcome
    }

    private func claim(
        _ wish: Wish,
        _ prices: [PricedSeat],
        _ fence: Fence,
        in transaction: PostgresTransaction
    ) async throws -> ReserveOutcome {
        let id = ReservationID()
        let keyRows = try await transaction.pipeline([
            IdempotencyKeys.lock(wish.key, of: wish.user), IdempotencyKeys.lookUp(wish.key, of: wish.user),
        ])
        guard let lock = keyRows[0].first, try lock.decode(Bool.self) else { throw Refusal(outcome: .keyInFlight) }
        switch try IdempotencyKeys.earlier(keyRows[1], hash: wish.hash) {
        case .none: break
        case .otherRequest: throw Refusal(outcome: .keyReused)
        case .answered(let earlier):
            guard let reservation = try await locked(earlier, in: transaction) else {
                throw Refusal(outcome: .keyInFlight)
            }
            return .repeated(reservation.asCreated)
        }
        let claimed = try await SoldSeats.claim(
            prices,
            reservation: id,
            user: wish.user,
            event: wish.event.id,
            fence: fence,
            maxSeats: wish.event.sale.maxSeatsPerUser,
            in: transaction
        )
        switch claimed {
        case .claimed: break
        case .unavailable(let seats): throw Refusal(outcome: .unavailable(seats))
        case .staleEpoch: throw Refusal(outcome: .notHeld(wish.seats))
        case .limitExceeded: throw Refusal(outcome: .limitExceeded(maxSeats: wish.event.sale.maxSeatsPerUser))
        }
        let event = wish.event
        _ = try await transaction.pipeline([
            """
            INSERT INTO reservations (id, event_id, user_id, total_amount, currency, expires_at)
            VALUES (
                \(id.rawValue)::uuid, \(event.id.rawValue)::uuid, \(wish.user.rawValue),
                \(prices.reduce(0) { $0 + $1.price })::bigint, \(event.currency),
                date_trunc('milliseconds', clock_timestamp())
                    + \(event.sale.holdSeconds)::integer * interval '1 second'
            )
            """,
            IdempotencyKeys.remember(wish.key, of: wish.user, hash: wish.hash, reservation: id),
            Outbox.add(.reserve, of: [id]),
            log(.created, of: [id]),
        ])
        guard let created = try await locked(id, in: transaction) else {
            throw PostgresError(.decoding, "reserve: the reservation just made cannot be read")
        }
        return .created(created)
    }
}

extension Reservation {
    /// As it was answered when it was made, whatever has become of it.
    var asCreated: Reservation {
        var created = self
        created.status = .pending
        created.paidAt = nil
        return created
    }
}
