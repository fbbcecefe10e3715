import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import TestSupport
import Testing

@testable import Seating

/// A Redis that somebody has tampered with, against a real PostgreSQL.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct SeatReconciliationRedisTests {
    struct Hall: Sendable {
        let seating: Seating
        let event: Event
        let redis: RedisClient
        let postgres: PostgresClient
        let reservation: ReservationID
        var keys: SeatingKeys { SeatingKeys(event: event.id) }

        func reconcile() async throws -> Int {
            try await seating.reconcile(event.id, breath: .zero, patience: .zero)
        }

        /// What somebody does to Redis by hand.
        func redis(_ command: String, _ key: String, _ arguments: RedisArgument...) async throws {
            _ = try await redis.send(RedisCommand(command, arguments: [RedisArgument(key)] + arguments))
        }

        func letters() async throws -> String {
            // Not a copy from before.
            seating.snapshots.forget(nil, of: event.id)
            return String(decoding: try await seating.snapshot(of: event).statuses, as: UTF8.self)
        }
    }

    /// One row of ten seats. `Floor A-1-1` and `-2` are reserved by ann, as PostgreSQL and Redis both know.
    private func withHall(_ body: (Hall) async throws -> Void) async throws {
        try await TenSeats.with { seats in
            _ = try await seats.seating.snapshot(of: seats.event)
            let hall = Hall(
                seating: seats.seating,
                event: seats.event,
                redis: seats.redis,
                postgres: seats.postgres,
                reservation: ReservationID()
            )
            try await Self.reserve(in: hall)
            try await body(hall)
        }
    }

    private static func reserve(in hall: Hall) async throws {
        let (event, id) = (hall.event.id.rawValue, hall.reservation.rawValue)
        try await hall.postgres.withTransaction { transaction in
            _ = try await transaction.pipeline([
                "INSERT INTO users (user_id, user_name, email, password_hash) VALUES ('ann', 'A', 'a@example.com', '!')",
                """
                INSERT INTO reservations (id, event_id, user_id, total_amount, currency, expires_at)
                VALUES (\(id)::uuid, \(event)::uuid, 'ann', 0, 'KRW', now() + interval '1 hour')
                """,
                """
                INSERT INTO seat_claims (reservation_id, event_id, seat_id, user_id, price, fence_epoch, fence_counter)
                SELECT \(id)::uuid, event_id, seat_id, 'ann', 0, 1, 1 FROM seats
                WHERE event_id = \(event)::uuid AND ordinal < 2
                """,
            ])
        }
        _ = try await hall.seating.markReserved(
            [seat(1), seat(2)],
            claim: ClaimID(reservation: hall.reservation, number: 1),
            order: 7,
            user: try #require(UserID("ann")),
            in: hall.event.id,
            epoch: 1
        )
    }

    private static func seat(_ number: Int) -> SeatID { TenSeats.seat(number) }

    @Test("Stores that agree are left alone, holds and blocked seats included")
    func agree() async throws {
        try await withHall { hall in
            let bob = try #require(UserID("bob"))
            _ = try await hall.seating.select([Self.seat(5)], by: bob, in: hall.event)
            _ = try await hall.seating.setBlocked(true, [Self.seat(9)], in: hall.event)
            let before = try await hall.letters()
            #expect(before == "rraalaaara")
            let corrected = try await hall.reconcile()
            #expect(corrected == 0)
            let after = try await hall.letters()
            #expect(after == before)
        }
    }

    @Test("A claim that Redis lost, one it made up and one it garbled become PostgreSQL's again, and everyone is told")
    func claims() async throws {
        try await withHall { hall in
            let bob = try #require(UserID("bob"))
            _ = try await hall.seating.select([Self.seat(5)], by: bob, in: hall.event)
            let before = try await hall.seating.snapshot(of: hall.event).seq
            // A sold seat that looks free, and that bob takes; a free one that looks sold; rubbish.
            try await hall.redis("HDEL", hall.keys.claims, "0:Floor A-1-1")
            try await hall.redis("SETRANGE", hall.keys.map, "0", "a")
            guard case .selected = try await hall.seating.lock([Self.seat(1)], by: bob, in: hall.event) else {
                Issue.record("the seat was to look free")
                return
            }
            let unknown = ReservationID()
            let made = RedisArgument("eve|\(unknown):1|9")
            try await hall.redis("HSET", hall.keys.claims, "3:Floor A-1-4", made)
            try await hall.redis("HSET", hall.keys.claimants, "eve", "1")
            try await hall.redis("HSET", hall.keys.claims, "6:Floor A-1-7", "what is this")
            try await hall.redis("HSET", hall.keys.claims, "7:Floor A-1-8", "|blocked")
            let corrected = try await hall.reconcile()
            // Four claims; before them the letters of the three that were written without theirs.
            #expect(corrected == 7)
            let letters = try await hall.letters()
            #expect(letters == "rraalaaaaa")
            let bobs = try await hall.seating.selection(of: bob, in: hall.event).seats
            #expect(bobs == [Self.seat(5)])
            let eve = try await hall.redis.send(RedisCommand("HGET", RedisArgument(hall.keys.claimants), "eve"))
            #expect(eve.string == nil)
            guard case .changes(_, let changes) = try await hall.seating.changes(in: hall.event, since: before) else {
                Issue.record("the log was to have the changes")
                return
            }
            #expect(changes.last { $0.seatIDs.contains(Self.seat(1)) }?.kind == .reserved)
            #expect(changes.last { $0.seatIDs.contains(Self.seat(4)) }?.kind == .released)
            let again = try await hall.reconcile()
            #expect(again == 0)
        }
    }

    @Test("A place held by nobody, and letters that fit nothing, are put right")
    func withinRedis() async throws {
        try await withHall { hall in
            try await hall.redis("HSET", hall.keys.holds, "4:Floor A-1-5", "ghost")
            try await hall.redis("SETRANGE", hall.keys.map, "2", "rql")
            let corrected = try await hall.reconcile()
            #expect(corrected == 3)
            let letters = try await hall.letters()
            #expect(letters == "rraaaaaaaa")
            let bob = try #require(UserID("bob"))
            guard case .selected = try await hall.seating.lock([Self.seat(5)], by: bob, in: hall.event) else {
                Issue.record("the seat was to be free")
                return
            }
        }
    }

    @Test("What the outbox has still to tell is no difference")
    func underWay() async throws {
        try await withHall { hall in
            let (event, id) = (hall.event.id.rawValue, hall.reservation.rawValue)
            // Cancelled in PostgreSQL; Redis was not told yet.
            _ = try await hall.postgres.query(
                "UPDATE seat_claims SET live = false WHERE reservation_id = \(id)::uuid"
            )
            _ = try await hall.postgres.query(
                """
                INSERT INTO outbox (event_id, reservation_id, claim_number, action)
                VALUES (\(event)::uuid, \(id)::uuid, 1, 'free')
                """
            )
            let early = try await hall.reconcile()
            #expect(early == 0)
            _ = try await hall.postgres.query("DELETE FROM outbox")
            let late = try await hall.reconcile()
            #expect(late == 2)
            let letters = try await hall.letters()
            #expect(letters == "aaaaaaaaaa")
        }
    }

    @Test("A Redis that has lost the state is rebuilt, not corrected seat by seat")
    func lost() async throws {
        try await withHall { hall in
            _ = try await hall.redis.send(RedisCommand("DEL", arguments: hall.keys.all.map { RedisArgument($0) }))
            let corrected = try await hall.reconcile()
            #expect(corrected == 0)
            let letters = try await hall.letters()
            #expect(letters == "rraaaaaaaa")
        }
    }
}
