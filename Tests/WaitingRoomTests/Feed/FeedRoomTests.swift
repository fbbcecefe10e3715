import HoldfastCore
import Testing

@testable import WaitingRoom

@Suite struct FeedRoomTests {
    private let start = ContinuousClock.now

    private func room(_ places: [(UserID, QueuePlace)]) -> FeedRoom {
        var room = FeedRoom()
        for (user, _) in places { room.watch(user, known: nil) }
        var summary = QueueSummary.empty
        (summary.epoch, summary.tick, summary.waiting) = (1, 10, 500)
        let found = QueueScripts.Standings(summary: summary, places: places.map(\.1))
        let isUsed = room.look(found, of: places.map(\.0))
        #expect(isUsed)
        room.caughtUp(gone: [], tick: 10, epoch: 1)
        return room
    }

    private func tick(_ number: Int64, _ rest: String = "", prefix: Int64 = 0) throws -> QueueMessage {
        try #require(QueueMessage("tick 1 \(number) \(prefix) 500 0 3 1700000000000 0 0\(rest)"))
    }

    private func user(_ name: String) throws -> UserID { try #require(UserID(name)) }

    @Test("A position is told once, and again when it changed, at most once a second")
    func positions() throws {
        let ann = try user("ann")
        var room = room([(ann, .waiting(qseq: 5, ahead: 4))])
        let first = room.takeNotices(now: start, event: nil)
        #expect(
            first
                == [.position(ann, qseq: 5, position: 5, total: 500, eta: nil)]
        )
        room.receive(try tick(11, "\ngone 3"))
        let early = room.takeNotices(now: start + .milliseconds(900), event: nil)
        #expect(early.isEmpty)
        let second = room.takeNotices(now: start + .seconds(1), event: nil)
        #expect(
            second
                == [.position(ann, qseq: 5, position: 4, total: 500, eta: nil)]
        )
        let unchanged = room.takeNotices(now: start + .seconds(9), event: nil)
        #expect(unchanged.isEmpty)
    }

    private func waiting(_ qseq: Int64, _ position: Int) -> QueueStanding {
        .waiting(qseq: qseq, position: position, total: 500, eta: nil)
    }

    private func notice(_ user: UserID, _ qseq: Int64, _ position: Int) -> QueueNotice {
        .position(user, qseq: qseq, position: position, total: 500, eta: nil)
    }

    @Test("An answer that was read before a tick and goes out after it is no worse than what the tick told")
    func lateAnswer() throws {
        let ann = try user("ann")
        var room = room([(ann, .waiting(qseq: 5, ahead: 4))])
        room.receive(try tick(11, "\ngone 3 4"))
        let told = room.takeNotices(now: start, event: nil)
        let answer = room.answering(ann, waiting(5, 5), now: start)
        #expect(told == [notice(ann, 5, 3)])
        #expect(answer == waiting(5, 3))
    }

    @Test("What an answer said is not taken back by a ledger behind it; the next notice leaves it time to arrive")
    func freshAnswer() throws {
        let ann = try user("ann")
        var room = room([(ann, .waiting(qseq: 5, ahead: 4))])
        let answer = room.answering(ann, waiting(5, 3), now: start)
        let early = room.takeNotices(now: start + .milliseconds(900), event: nil)
        room.receive(try tick(11, "\ngone 4"))
        let later = room.takeNotices(now: start + .seconds(1), event: nil)
        #expect(answer == waiting(5, 3))
        #expect(early.isEmpty)
        #expect(later == [notice(ann, 5, 3)])
    }

    @Test("A notice that an answer overtakes is said as the answer was")
    func overtakenNotice() throws {
        let ann = try user("ann")
        var room = room([(ann, .waiting(qseq: 5, ahead: 4))])
        let taken = room.takeNotices(now: start, event: nil)
        _ = room.answering(ann, waiting(5, 2), now: start)
        let said = taken.compactMap { room.current($0) }
        #expect(said == [notice(ann, 5, 2)])
        room.unwatch(ann)
        let afterwards = taken.compactMap { room.current($0) }
        #expect(afterwards.isEmpty)
    }

    @Test("A later place has its own positions, and nothing more is said of the one before")
    func laterPlace() throws {
        let ann = try user("ann")
        var room = room([(ann, .waiting(qseq: 5, ahead: 4))])
        let before = room.takeNotices(now: start, event: nil)
        let answer = room.answering(ann, waiting(90, 80), now: start)
        let late = room.answering(ann, waiting(5, 2), now: start)
        let said = before.compactMap { room.current($0) }
        let notices = room.takeNotices(now: start + .seconds(5), event: nil)
        #expect(answer == waiting(90, 80) && late == waiting(5, 2))
        #expect(said.isEmpty && notices.isEmpty)
    }

    @Test("An admission is told to its user alone, once")
    func admitted() throws {
        let (ann, bob) = (try user("ann"), try user("bob"))
        var room = room([(ann, .waiting(qseq: 1, ahead: 0)), (bob, .waiting(qseq: 2, ahead: 1))])
        _ = room.takeNotices(now: start, event: nil)
        room.receive(try tick(11, "\ngone 1\nadmitted ann 1700000600000 zoe 1700000600000", prefix: 1))
        let entry = room.takeNotices(now: start, event: nil)
        #expect(
            entry
                == [.admitted(ann, expiresAt: ServerTime(millisecondsSinceEpoch: 1_700_000_600_000))]
        )
        room.receive(try tick(12, "\nended ann", prefix: 1))
        let exit = room.takeNotices(now: start, event: nil)
        #expect(exit == [.expired(ann)])
    }

    @Test("An admission that could not be said comes again, unless the pass has ended or is said anew")
    func unsaid() throws {
        let ann = try user("ann")
        let pass = ServerTime(millisecondsSinceEpoch: 1_700_000_600_000)
        var room = room([(ann, .waiting(qseq: 1, ahead: 0))])
        room.receive(try tick(11, "\ngone 1\nadmitted ann 1700000600000", prefix: 1))
        let first = room.takeNotices(now: start, event: nil)
        room.unsaid(first)
        let second = room.takeNotices(now: start, event: nil)
        #expect(first == [.admitted(ann, expiresAt: pass)] && second == first)
        let silence = room.takeNotices(now: start, event: nil)
        #expect(silence.isEmpty)
        room.receive(try tick(12, "\nended ann", prefix: 1))
        room.unsaid(second)
        let exit = room.takeNotices(now: start, event: nil)
        #expect(exit == [.expired(ann)])
        room.unsaid(second)
        let late = room.takeNotices(now: start, event: nil)
        #expect(late.isEmpty)
    }

    @Test("A gap between ticks asks for a look, a repeated tick changes nothing")
    func gap() throws {
        var room = room([])
        room.receive(try tick(11))
        room.receive(try tick(11, "\ngone 9"))
        #expect(!room.isBehind)
        #expect(!room.ledger.isGone(9))
        room.receive(try tick(13))
        #expect(room.isBehind)
    }

    @Test("Who lost the place when the line was emptied is told so")
    func cleared() throws {
        let ann = try user("ann")
        var room = room([(ann, .waiting(qseq: 1, ahead: 0))])
        _ = room.takeNotices(now: start, event: nil)
        room.receive(.cleared)
        #expect(room.isBehind)
        var summary = QueueSummary.empty
        (summary.epoch, summary.tick) = (2, 11)
        let isUsed = room.look(.init(summary: summary, places: [.none]), of: [ann])
        #expect(isUsed)
        let notices = room.takeNotices(now: start, event: nil)
        #expect(notices == [.cleared(ann)])
    }

    // MARK: A crowd

    private func crowd(_ count: Int) throws -> FeedRoom {
        var room = room(
            try (1...count).map { (try user("u\($0)"), .waiting(qseq: Int64($0) + 2_000, ahead: $0 + 1_999)) }
        )
        _ = room.takeNotices(now: start, event: nil)
        _ = room.takeLooks(now: start)
        return room
    }

    @Test("Of a crowd that moves a share is told at each step, so that no step has to write to everybody")
    func toldInTurn() throws {
        var room = try crowd(6_000)
        room.receive(try tick(11, "\ngone 7"))
        var (told, most): (Set<UserID>, Int) = ([], 0)
        for step in 1...61 {
            let notices = room.takeNotices(now: start + .milliseconds(100 * step), event: nil)
            for case .position(let user, _, _, _, _) in notices { told.insert(user) }
            most = max(most, notices.count)
        }
        #expect(told.count == 6_000)
        #expect(most <= 300)
    }

    @Test("Of a crowd a share is looked up at each step, everybody within two seconds, and who comes at once")
    func lookedUpInTurn() throws {
        var room = try crowd(6_000)
        var (seen, most): (Set<UserID>, Int) = ([], 0)
        for step in 1...20 {
            let users = room.takeLooks(now: start + .milliseconds(100 * step))
            seen.formUnion(users)
            most = max(most, users.count)
        }
        #expect(seen.count == 6_000)
        #expect(most <= 400)
        let ann = try user("ann")
        room.watch(ann, known: nil)
        let next = room.takeLooks(now: start + .milliseconds(2_001))
        #expect(next == [ann])
        // A step that was kept waiting makes up for it, and one round is enough.
        let late = room.takeLooks(now: start + .seconds(60))
        #expect(late.count == 6_001)
        room.missedMessages()
        let all = room.takeLooks(now: start + .milliseconds(60_001))
        #expect(all.count == 6_001)
    }

    @Test("Somebody in a crowd hears of a change within a second once they are near the front")
    func nearFrontInACrowd() throws {
        var room = try crowd(3_000)
        let first = try user("u1")
        room.receive(try tick(11, prefix: 1_990))
        var heardAt: [Int: Int] = [:]
        for step in 30...61 {
            for case .position(first, _, let position, _, _) in room.takeNotices(
                now: start + .milliseconds(100 * step),
                event: nil
            ) { heardAt[position] = step }
        }
        #expect(heardAt.keys.sorted() == [11])
        room.receive(try tick(12, prefix: 1_995))
        let next = room.takeNotices(now: start + .milliseconds(7_200), event: nil)
        #expect(next.contains { if case .position(first, _, 6, _, _) = $0 { true } else { false } })
    }

    @Test(
        "Text that no script publishes is no message",
        arguments: ["", "tick", "tick 1 2", "tick a b c d e f g", "x"]
    )
    func nonsense(_ text: String) {
        #expect(QueueMessage(text) == nil)
    }
}
