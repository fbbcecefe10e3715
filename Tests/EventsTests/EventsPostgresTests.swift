import Events
import HoldfastCore
import Postgres
import TestSupport
import Testing

@Suite(.enabled(if: TestPostgres.isConfigured)) struct EventsPostgresTests {
    private func file(opensAt: ServerTime? = nil) -> EventFile {
        EventFile(
            title: "Winter Night Live",
            venue: "Seoul Arena",
            startsAt: ServerTime(millisecondsSinceEpoch: 1_800_000_000_123),
            sale: SaleRules(opensAt: opensAt),
            queue: QueueRules(),
            sections: [
                Section(name: "R", rows: 2, seatsPerRow: 3, price: 7),
                Section(name: "A-1", rows: 1, seatsPerRow: 2, price: 9),
            ],
            generalAdmission: [GeneralAdmission(name: "Floor", capacity: 5, price: 3)]
        )
    }

    @Test("An event comes back as it was put in, with the seats of its layout")
    func roundTrip() async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            let created = try await events.create(file())
            #expect(created.status == .scheduled)
            #expect(created.seatCount == 8)
            #expect(created.startsAt.millisecondsSinceEpoch == 1_800_000_000_123)
            #expect(try await events.event(created.id) == created)
            let layout = try await events.layout(of: created)
            #expect(layout.seats == Layout(version: 1, sections: created.sections).seats)
            #expect(try await events.event(EventID()) == nil)
        }
    }

    @Test("A hundred thousand seats are put in at once")
    func largest() async throws {
        try await TestPostgres.withDatabase { postgres in
            var large = file()
            large.sections = [Section(name: "R", rows: 1_000, seatsPerRow: 100, price: 1)]
            let event = try await Events(postgres: postgres).create(large)
            #expect(try await Events(postgres: postgres).layout(of: event).seats.count == 100_000)
        }
    }

    @Test("Pages follow each other, newest first, without gaps")
    func pages() async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            var ids: [EventID] = []
            for _ in 0..<5 { ids.insert(try await events.create(file()).id, at: 0) }
            let first = try await events.list(after: nil, limit: 3)
            let second = try await events.list(after: first.nextCursor, limit: 3)
            #expect((first.events + second.events).map(\.id) == ids)
            #expect(second.nextCursor == nil)
            await #expect(throws: Problem.self) { try await events.list(after: "x' OR 1=1", limit: 3) }
        }
    }

    @Test("Closed is final, and a repeated command is no change")
    func transitions() async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            let id = try await events.create(file()).id
            await #expect(throws: Problem.self) { try await events.setStatus(id, .paused) }
            #expect(try await events.setStatus(id, .open)?.status == .open)
            #expect(try await events.setStatus(id, .open)?.status == .open)
            #expect(try await events.event(id)?.status == .open)
            #expect(try await events.setStatus(id, .closed)?.status == .closed)
            await #expect(throws: Problem.self) { try await events.setStatus(id, .open) }
            #expect(try await events.setStatus(EventID(), .open) == nil)
        }
    }

    @Test("Events open when their time has come, each told to one caller")
    func due() async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            let due = try await events.create(file(opensAt: .now + .seconds(-60)))
            _ = try await events.create(file(opensAt: .now + .seconds(3_600)))
            _ = try await events.create(file())
            async let one = events.openDue()
            async let other = events.openDue()
            let opened = try await one + other
            #expect(opened.map(\.id) == [due.id])
            #expect(opened.first?.status == .open)
        }
    }

    @Test("Only what was asked for changes about a queue")
    func queueChange() async throws {
        try await TestPostgres.withDatabase { postgres in
            let events = Events(postgres: postgres)
            let id = try await events.create(file()).id
            let changed = try await events.updateQueue(id, QueueChange(maxActive: 5, paused: true))
            #expect(changed?.queue == QueueRules(maxActive: 5, paused: true))
            await #expect(throws: Problem.self) { try await events.updateQueue(id, QueueChange(ratePerMinute: 0)) }
        }
    }
}
