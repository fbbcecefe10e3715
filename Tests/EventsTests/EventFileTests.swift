import Foundation
import HoldfastCore
import Testing

@testable import Events

@Suite struct EventFileTests {
    static let whole = """
        {"title":"Winter Night Live","venue":"Seoul Arena","startsAt":"2027-01-15T10:00:00.000Z","currency":"KRW",
         "sale":{"opensAt":null,"maxSeatsPerUser":4,"holdSeconds":300,"noOrphanSeats":false},
         "queue":{"enabled":true,"maxActive":1000,"ratePerMinute":600,"mode":"fifo","passSeconds":600},
         "sections":[{"name":"VIP","rows":3,"seatsPerRow":10,"price":150000}],
         "generalAdmission":[{"name":"Floor","capacity":500,"price":80000}]}
        """

    @Test("The contract's example is read whole")
    func example() throws {
        let file = try EventFile(json: Data(Self.whole.utf8))
        #expect(file.title == "Winter Night Live")
        #expect(file.queue == QueueRules())
        #expect(file.sections == [Section(name: "VIP", rows: 3, seatsPerRow: 10, price: 150_000)])
        #expect(file.generalAdmission.first?.capacity == 500)
    }

    @Test("Absent rules have the contract's values, and no queue means no waiting room")
    func defaults() throws {
        let json = """
            {"title":"T","venue":"V","startsAt":"2027-01-15T10:00:00Z",
             "sections":[{"name":"A","rows":1,"seatsPerRow":1,"price":0}]}
            """
        let file = try EventFile(json: Data(json.utf8))
        #expect(file.sale == SaleRules())
        #expect(file.queue == .disabled)
        #expect(file.currency == "KRW")
    }

    @Test(
        "A file that breaks a rule is refused with the field's name",
        arguments: [
            ("\"rows\":3", "\"rows\":0", "sections.0.rows"), ("\"rows\":3", "\"rows\":\"3\"", "sections.0.rows"),
            ("\"KRW\"", "\"won\"", "currency"), ("\"maxActive\":1000", "\"maxActive\":0", "queue.maxActive"),
            ("\"fifo\"", "\"lifo\"", "queue.mode"), ("\"Floor\"", "\"VIP\"", "generalAdmission.0.name"),
            ("\"title\":\"Winter Night Live\",", "", "title"), ("10:00:00.000Z", "10 o'clock", "startsAt"),
            ("\"seatsPerRow\":10", "\"seatsPerRow\":9223372036854775807", "sections.0.rows"),
        ]
    )
    func refused(_ change: (from: String, to: String, field: String)) throws {
        let json = Self.whole.replacingOccurrences(of: change.from, with: change.to)
        let problem = try #require(throws: Problem.self) { try EventFile(json: Data(json.utf8)) }
        #expect(problem.code == .invalid)
        #expect(problem.errors.contains { $0.field == change.field })
    }

    @Test("What is not JSON is malformed", arguments: ["", "{", "[1,", "nonsense"])
    func malformed(_ text: String) throws {
        let problem = try #require(throws: Problem.self) { try EventFile(json: Data(text.utf8)) }
        #expect(problem.code == .malformedRequest)
    }

    @Test("More than 100,000 seats are refused")
    func tooManySeats() throws {
        let file = EventFile(
            title: "T",
            venue: "V",
            startsAt: .now,
            sections: [Section(name: "A", rows: 1_000, seatsPerRow: 101, price: 1)]
        )
        #expect(throws: Problem.self) { try file.validate() }
    }

    @Test("A layout numbers its seats in order and finds them by id")
    func layout() throws {
        let layout = Layout(version: 1, sections: [Section(name: "VIP", rows: 2, seatsPerRow: 3, price: 5)])
        #expect(layout.seats.map(\.id.rawValue) == ["VIP-1-1", "VIP-1-2", "VIP-1-3", "VIP-2-1", "VIP-2-2", "VIP-2-3"])
        let id = SeatID(section: "VIP", row: 2, number: 1)
        #expect(layout.ordinal(of: id) == 3)
        #expect(layout.seat(id)?.row == 2)
        #expect(layout.seat(SeatID(section: "VIP", row: 3, number: 1)) == nil)
    }
}

@Suite struct EventCacheTests {
    private let id = EventID()
    private let start = ContinuousClock.now

    @Test("The first who finds a copy stale begins its renewal, and all are served it until it is too old")
    func oneRenews() {
        let cache = EventCache()
        #expect(cache.look(id, now: start) == .read)
        cache.store(nil, for: id, now: start)
        #expect(cache.look(id, now: start + .milliseconds(399)) == .known(nil))
        #expect(cache.look(id, now: start + .milliseconds(401)) == .stale(nil))
        #expect(cache.look(id, now: start + .milliseconds(402)) == .known(nil))
        #expect(cache.look(id, now: start + .milliseconds(801)) == .read)
    }

    @Test("Copies that grow stale while one is about to be renewed are renewed with it")
    func together() {
        let cache = EventCache()
        let other = EventID()
        for id in [id, other] { cache.store(nil, for: id, now: start) }
        #expect(cache.look(id, now: start + .milliseconds(401)) == .stale(nil))
        #expect(cache.look(other, now: start + .milliseconds(402)) == .known(nil))
        #expect(Set(cache.takeStale().keys) == [id, other])
        for id in [id, other] { cache.renew(nil, for: id, now: start + .milliseconds(500)) }
        #expect(cache.look(id, now: start + .milliseconds(899)) == .known(nil))
        #expect(cache.look(other, now: start + .milliseconds(901)) == .stale(nil))
    }

    @Test("A copy that was forgotten meanwhile is not renewed")
    func forgotten() {
        let cache = EventCache()
        cache.store(nil, for: id, now: start)
        #expect(cache.look(id, now: start + .milliseconds(401)) == .stale(nil))
        cache.forget(id)
        #expect(cache.takeStale().isEmpty)
        cache.renew(nil, for: id, now: start + .milliseconds(500))
        #expect(cache.look(id, now: start + .milliseconds(501)) == .read)
    }
}
