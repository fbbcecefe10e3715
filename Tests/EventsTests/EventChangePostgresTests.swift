import Events
import HoldfastCore
import Postgres
import TestSupport
import Testing

@Suite(.enabled(if: TestPostgres.isConfigured)) struct EventChangePostgresTests {
    private func withEvent(_ body: (Events, Event, PostgresClient) async throws -> Void) async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            let file = EventFile(
                title: "Winter",
                venue: "Arena",
                startsAt: ServerTime(millisecondsSinceEpoch: 1_800_000_000_000),
                sale: SaleRules(opensAt: ServerTime(millisecondsSinceEpoch: 1_790_000_000_000)),
                queue: QueueRules(),
                sections: [Section(name: "R", rows: 1, seatsPerRow: 3, price: 7)]
            )
            try await body(events, try await events.create(file), postgres)
        }
    }

    @Test("What a change names is changed, the rest stays, and the version rises")
    func change() async throws {
        try await withEvent { events, event, _ in
            #expect(event.version == 1)
            var change = EventChange()
            change.title = "Summer"
            change.opensAt = .some(nil)
            change.holdSeconds = 10
            change.queueMode = .lobby
            guard case .changed(let changed) = try await events.update(event.id, change) else {
                Issue.record("not changed")
                return
            }
            var expected = event
            expected.title = "Summer"
            expected.sale.opensAt = nil
            expected.sale.holdSeconds = 10
            expected.queue.mode = .lobby
            (expected.version, expected.queueVersion) = (2, 2)
            #expect(changed == expected)
            #expect(try await events.event(event.id) == expected)
            // The same again is no change.
            #expect(try await events.update(event.id, change) == .changed(expected))
        }
    }

    @Test("Two who change the same version: the second is told")
    func version() async throws {
        try await withEvent { events, event, _ in
            var change = EventChange()
            change.venue = "Hall"
            guard case .changed(let changed) = try await events.update(event.id, change, onlyIf: 1) else {
                Issue.record("not changed")
                return
            }
            change.venue = "Stadium"
            #expect(try await events.update(event.id, change, onlyIf: 1) == .changedMeanwhile(changed))
            #expect(try await events.update(EventID(), change) == .notFound)
        }
    }

    @Test("A value out of bounds changes nothing, nor does what comes too late")
    func refused() async throws {
        try await withEvent { events, event, _ in
            var change = EventChange()
            change.title = ""
            change.holdSeconds = 0
            let problem = await #expect(throws: Problem.self) { try await events.update(event.id, change) }
            #expect(problem?.errors.map(\.field) == ["title", "sale.holdSeconds"])
            _ = try await events.setStatus(event.id, .open)
            var late = EventChange()
            late.opensAt = .some(nil)
            late.queueMode = .lobby
            let tooLate = await #expect(throws: Problem.self) { try await events.update(event.id, late) }
            #expect(tooLate?.errors.map(\.field) == ["sale.opensAt", "queue.mode"])
        }
    }

    @Test("An event is deleted with all it has, unless somebody ever ordered from it")
    func deletion() async throws {
        try await withEvent { events, event, postgres in
            _ = try await postgres.query(
                """
                INSERT INTO users (user_id, user_name, email, password_hash) VALUES ('ann', 'ann', 'a@example.com', '!')
                """
            )
            _ = try await postgres.query(
                """
                INSERT INTO reservations (id, event_id, user_id, status, total_amount, currency, expires_at)
                VALUES (gen_random_uuid(), \(event.id.rawValue)::uuid, 'ann', 'expired', 1, 'KRW', now())
                """
            )
            #expect(try await events.delete(event.id) == .hasOrders)
            #expect(try await events.event(event.id) != nil)
            _ = try await postgres.query("DELETE FROM reservations")
            #expect(try await events.delete(event.id) == .deleted)
            #expect(try await events.event(event.id) == nil)
            #expect(try await events.delete(event.id) == .notFound)
            let seats = try await postgres.query("SELECT count(*) FROM seats")
            #expect(try seats[0].decode(Int.self) == 0)
        }
    }

    @Test("The largest event can be deleted within a statement's time")
    func largest() async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            let file = EventFile(
                title: "Large",
                venue: "Arena",
                startsAt: ServerTime(millisecondsSinceEpoch: 1_800_000_000_000),
                sections: [Section(name: "R", rows: 1_000, seatsPerRow: 100, price: 1)]
            )
            let event = try await events.create(file)
            #expect(try await events.delete(event.id) == .deleted)
        }
    }
}
