package import Events
package import HoldfastCore
import Redis

extension Seating {
    /// Whether a person holds all of these seats now, and with which grant.
    package func verifyHeld(_ seats: [SeatID], by user: UserID, in event: Event) async throws -> HoldCheck {
        let seats = try Self.distinct(seats)
        let selection = try await selection(of: user, in: event)
        let held = Set(selection.seats)
        let missing = seats.filter { !held.contains($0) }
        guard missing.isEmpty, let fence = selection.fence, let expiresAt = selection.expiresAt else {
            return .notHeld(missing.isEmpty ? seats : missing)
        }
        return .held(fence, expiresAt: expiresAt)
    }

    /// Tells Redis, and through it everyone, that seats belong to a reservation that PostgreSQL has committed.
    ///
    /// Safe to repeat at any time, also after ``free(_:claim:in:)``: a claim given back stays given back. Which ones were
    /// is forgotten when the state is rebuilt, so the caller says in which life of it the claim was known to stand.
    ///
    /// - Parameters:
    ///   - claim: see ``ClaimID``.
    ///   - order: rises with each taking of a seat; a later one is never undone by an earlier.
    ///   - epoch: as PostgreSQL told it together with the claim.
    /// - Returns: false when the state has begun another life since; nothing was done, look at the claim again.
    package func markReserved(
        _ seats: [SeatID],
        claim: ClaimID,
        order: Int64,
        user: UserID,
        in event: EventID,
        epoch: Int64
    ) async throws -> Bool {
        let places = try await places(seats, of: event)
        guard !places.isEmpty else { return true }
        let arguments = [RedisArgument(user.rawValue), RedisArgument(claim.description), RedisArgument(order)] + places
        return try await tell(SeatScript.markReserved, event, arguments, epoch)
    }

    /// Puts the seats of a reservation that ended back on sale. Safe to repeat.
    ///
    /// Also in one life of the state only: what is told to a life that is about to end would be forgotten with it, and a
    /// late word about the same claim, meant for the next life, would find nothing against it.
    ///
    /// - Parameter epoch: as PostgreSQL told it together with the end of the claim.
    /// - Returns: false when Redis has another life than that; nothing was done, ask PostgreSQL again.
    package func free(_ seats: [SeatID], claim: ClaimID, in event: EventID, epoch: Int64) async throws -> Bool {
        let places = try await places(seats, of: event)
        guard !places.isEmpty else { return true }
        let arguments = [RedisArgument(claim.description)] + places
        return try await tell(SeatScript.free, event, arguments, epoch)
    }

    /// A closed event that Redis does not know any more need not be told.
    private func tell(
        _ script: RedisScript,
        _ event: EventID,
        _ arguments: [RedisArgument],
        _ epoch: Int64
    ) async throws -> Bool {
        let status = try await state.run(script, event, arguments, onlyIn: epoch).status
        return status == .ok || status == .over
    }

    /// Takes seats off sale, or puts them back: in PostgreSQL, then in Redis, then everyone is told. Safe to repeat.
    ///
    /// Whoever holds such a seat loses it; seats of reservations stay as they are.
    /// - Returns: the seats that are as asked now.
    package func setBlocked(_ isBlocked: Bool, _ seats: [SeatID], in event: Event) async throws -> [SeatID] {
        let seats = try Self.distinct(seats)
        let changed = try await events.setBlocked(isBlocked, seats, of: event.id)
        guard !changed.isEmpty else { return [] }
        let arguments = [isBlocked ? "1" : "0"] + (try await places(changed, of: event.id))
        _ = try await state.run(SeatScript.block, event.id, arguments)
        return changed.sorted()
    }

    private func places(_ seats: [SeatID], of event: EventID) async throws -> [RedisArgument] {
        guard let event = try await events.event(event) else { return [] }
        let layout = try await events.layout(of: event)
        return seats.compactMap { layout.place($0) }
    }
}

/// One taking of seats by a reservation.
///
/// A reservation whose seats were given back may take them again (a payment that came late); the number tells the
/// two apart, so that a message about the first that arrives late cannot undo the second.
package struct ClaimID: Hashable, Sendable, CustomStringConvertible {
    package let reservation: ReservationID
    /// From 1.
    package let number: Int

    package init(reservation: ReservationID, number: Int) {
        self.reservation = reservation
        self.number = number
    }

    package var description: String { "\(reservation):\(number)" }
}
