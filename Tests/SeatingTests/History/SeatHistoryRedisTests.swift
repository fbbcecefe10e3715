import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import TestSupport
import Testing

@testable import Seating

/// Steps of holds on their way from a real Redis to a real PostgreSQL.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct SeatHistoryRedisTests {
    private func withSeats(
        _ body: (Seating, SeatHistory, Event, RedisClient, PostgresClient) async throws -> Void
    ) async throws {
        try await TenSeats.with { seats in
            let history = SeatHistory(redis: seats.redis, postgres: seats.postgres)
            try await body(seats.seating, history, seats.event, seats.redis, seats.postgres)
        }
    }

    private func seat(_ number: Int) -> SeatID { TenSeats.seat(number) }

    @Test("Each step of a hold is told once, in order, with its seats and nobody else's")
    func path() async throws {
        try await withSeats { seating, history, event, redis, _ in
            let (ann, bob) = (try #require(UserID("ann")), try #require(UserID("bob")))
            _ = try await seating.select([seat(1), seat(2)], by: ann, in: event)
            _ = try await seating.select([seat(5)], by: bob, in: event)
            _ = try await seating.extend(by: ann, in: event)
            _ = try await seating.select([seat(2), seat(3)], by: ann, in: event)
            let moved = try await history.move([event.id])
            #expect(!moved)
            _ = try await seating.release(nil, by: ann, in: event)
            let (entries, isComplete) = try await history.entries(of: ann, in: event.id, limit: 100)
            #expect(isComplete)
            #expect(entries.map(\.action) == [.held, .extended, .released, .held, .released])
            #expect(
                entries.map(\.seats) == [
                    [seat(1), seat(2)], [seat(1), seat(2)], [seat(1)], [seat(3)], [seat(2), seat(3)],
                ]
            )
            let length = try await redis.send(
                RedisCommand("XRANGE", RedisArgument(SeatingKeys(event: event.id).history), "-", "+")
            )
            #expect(length.array?.isEmpty == true)
        }
    }

    @Test("A hold that ran out, and one that PostgreSQL gave to another, say so")
    func ends() async throws {
        try await withSeats { seating, history, event, redis, _ in
            let (ann, bob) = (try #require(UserID("ann")), try #require(UserID("bob")))
            var short = event
            short.sale.holdSeconds = 1
            _ = try await seating.select([seat(1)], by: ann, in: event)
            let claim = ClaimID(reservation: ReservationID(), number: 1)
            _ = try await seating.markReserved([seat(1)], claim: claim, order: 1, user: bob, in: event.id, epoch: 1)
            _ = try await seating.select([seat(2)], by: ann, in: short)
            while try await !seating.selection(of: ann, in: event).seats.isEmpty {
                try await Task.sleep(for: .milliseconds(50))
            }
            let (entries, _) = try await history.entries(of: ann, in: event.id, limit: 100)
            #expect(entries.map(\.action) == [.held, .lost, .held, .expired])
        }
    }

    @Test("Seats that an administrator takes off sale say so to each holder, once, and not as sold to another")
    func blocked() async throws {
        try await withSeats { seating, history, event, _, _ in
            let (ann, bob) = (try #require(UserID("ann")), try #require(UserID("bob")))
            _ = try await seating.select([seat(1), seat(2), seat(3)], by: ann, in: event)
            _ = try await seating.select([seat(5)], by: bob, in: event)
            _ = try await seating.setBlocked(true, [seat(1), seat(3), seat(5), seat(7)], in: event)
            let (anns, _) = try await history.entries(of: ann, in: event.id, limit: 10)
            #expect(anns.map(\.action) == [.held, .blocked])
            #expect(anns.last?.seats == [seat(1), seat(3)])
            let (bobs, _) = try await history.entries(of: bob, in: event.id, limit: 10)
            #expect(bobs.map(\.action) == [.held, .blocked])
            let left = try await seating.selection(of: ann, in: event).seats
            #expect(left == [seat(2)])
            let none = try await seating.selection(of: bob, in: event)
            #expect(none.seats.isEmpty && none.expiresAt == nil)
        }
    }

    @Test("Entries that two move at once come once, and a wiped Redis takes none that were moved")
    func once() async throws {
        try await withSeats { seating, history, event, redis, postgres in
            let ann = try #require(UserID("ann"))
            for _ in 0..<20 {
                _ = try await seating.select([seat(1)], by: ann, in: event)
                _ = try await seating.release(nil, by: ann, in: event)
            }
            try await withThrowingDiscardingTaskGroup { group in
                for _ in 0..<4 { group.addTask { _ = try await history.move([event.id]) } }
            }
            try await seating.rebuild(event.id)
            let rows = try await postgres.query("SELECT count(*) FROM seat_history")
            #expect(try rows[0].decode(Int.self) == 40)
            let (entries, _) = try await history.entries(of: ann, in: event.id, limit: 10)
            #expect(entries.count == 11)
            #expect(entries.last?.action == .wiped)
        }
    }

    @Test("Steps of several events are moved together, each to its own; those of a deleted event go nowhere")
    func together() async throws {
        try await withSeats { seating, history, event, redis, postgres in
            let ann = try #require(UserID("ann"))
            let events = Events(postgres: postgres)
            let section = Section(name: "Floor A", rows: 1, seatsPerRow: 10, price: 150)
            let file = EventFile(title: "Other", venue: "Hall", startsAt: event.startsAt, sections: [section])
            var others: [Event] = []
            for _ in 0..<2 {
                others.append(try #require(try await events.setStatus(try await events.create(file).id, .open)))
            }
            for (number, event) in ([event] + others).enumerated() {
                _ = try await seating.select([seat(number + 1)], by: ann, in: event)
            }
            _ = try await events.delete(others[0].id)
            let more = try await history.move([event.id, others[0].id, others[1].id])
            #expect(!more)
            let rows = try await postgres.query("SELECT event_id::text, seats FROM seat_history ORDER BY id")
            let owners = try rows.map { try $0.decode((String, String).self).0 }
            #expect(owners == [event.id.rawValue, others[1].id.rawValue])
            for other in others {
                let key = RedisArgument(SeatingKeys(event: other.id).history)
                let left = try await redis.send(RedisCommand("XLEN", key))
                #expect(left == .integer(0))
                try await seating.forget(other.id)
            }
        }
    }
}
