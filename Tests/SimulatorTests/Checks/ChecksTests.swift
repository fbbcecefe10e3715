import HoldfastCore
import Simulator
import Testing

/// Histories as fans would live them, right ones and wrong ones: the checker must pass the first and name the second.
@Suite struct ChecksTests {
    private static let start = ServerTime(millisecondsSinceEpoch: 1_800_000_000_000)

    /// A play of four seats, its clock in seconds, and shorthands for what happens in it.
    private struct History {
        var checks: Checks
        var fence: Int64 = 0
        var seq: Int64 = 0

        init(maxActive: Int? = nil) {
            let seats = (1...4).map { (id: "A-1-\($0)", row: "A-1") }
            let venue = Venue(eventID: "e", seats: seats, maxSeatsPerUser: 4, hold: .seconds(60), hasQueue: true)
            self.checks = Checks(venue, maxActive: maxActive, startedAt: ChecksTests.start)
            self.checks.log.start(Array("aaaa".utf8), seq: 0)
        }

        static func time(_ seconds: Double) -> ServerTime { ChecksTests.start + .milliseconds(Int64(seconds * 1_000)) }

        /// A grant: asked for at `at`, answered 10 ms later; the hold lasts a minute.
        mutating func grant(_ user: Int, _ seats: [Int32], at: Double, fence: Int64? = nil, ends: Double? = nil) {
            self.fence += 1
            self.seq += 1
            let request = FanRequest.select(seats)
            self.checks.sent(request, user, now: .seconds(at))
            var answer = FanAnswer()
            answer.ok = true
            answer.selectedSeats = self.checks.venue.names(seats)
            answer.fence = seats.isEmpty ? nil : Fence(epoch: 1, counter: fence ?? self.fence)
            answer.expiresAt = seats.isEmpty ? nil : Self.time(ends ?? at + 60)
            answer.seq = self.seq
            self.checks.answered(request, answer, user, user, sentAt: .seconds(at), now: .seconds(at + 0.01))
        }

        mutating func order(_ user: Int, _ seats: [Int32], at: Double, ends: Double? = nil) -> ReservationID {
            let (request, id) = (FanRequest.reserve(seats, key: 1), ReservationID())
            self.checks.sent(request, user, now: .seconds(at))
            var answer = FanAnswer()
            answer.httpStatus = 201
            answer.reservationId = id
            answer.expiresAt = Self.time(ends ?? at + 60)
            self.checks.answered(request, answer, user, user, sentAt: .seconds(at), now: .seconds(at + 0.01))
            return id
        }

        mutating func pay(_ user: Int, _ id: ReservationID, at: Double, succeeds: Bool = true) {
            let request = FanRequest.pay(id, method: "sandbox")
            self.checks.sent(request, user, now: .seconds(at))
            var answer = FanAnswer()
            answer.httpStatus = succeeds ? 200 : 402
            answer.success = succeeds
            self.checks.answered(request, answer, user, user, sentAt: .seconds(at), now: .seconds(at + 0.01))
        }

        mutating func join(_ user: Int, at: Double, position: Int?, status: String = "waiting") {
            self.checks.sent(.joinQueue, user, now: .seconds(at))
            var answer = FanAnswer()
            answer.ok = true
            answer.status = status
            answer.position = position
            self.checks.answered(.joinQueue, answer, user, user, sentAt: .seconds(at), now: .seconds(at + 0.01))
        }

        mutating func check(_ user: Int, sentAt: Double, at: Double, position: Int) {
            self.checks.sent(.checkQueue, user, now: .seconds(sentAt))
            var answer = FanAnswer()
            (answer.ok, answer.status, answer.position) = (true, "waiting", position)
            self.checks.answered(.checkQueue, answer, user, user, sentAt: .seconds(sentAt), now: .seconds(at))
        }

        mutating func comes(_ user: Int, at: Double) {
            self.checks.connected(user, user, sentAt: .seconds(at), now: .seconds(at))
            var answer = FanAnswer()
            answer.ok = true
            self.checks.answered(.joinEvent, answer, user, user, sentAt: .seconds(at), now: .seconds(at))
        }

        mutating func message(_ kind: SeatLog.Kind, _ seats: [Int32], _ seq: Int64, at: Double) {
            self.checks.seatMessage(kind, seats, seq: seq, now: .seconds(at))
        }

        var rules: [Breach.Rule] { self.checks.breaches.map(\.rule) }
    }

    // MARK: Seats

    @Test("Two fans who hold one seat at the same time are a breach that names both and the seat")
    func grantedTwice() {
        var history = History()
        history.grant(1, [0, 1], at: 1)
        history.grant(2, [1, 2], at: 5)
        #expect(history.rules == [.seatGrantedTwice])
        #expect(history.checks.breaches.first?.fans == [1, 2])
        #expect(history.checks.breaches.first?.evidence.contains("A-1-2") == true)
    }

    @Test("A seat given back, expired, or swapped away may be granted to another")
    func passedOn() {
        var history = History()
        history.grant(1, [0], at: 1)
        history.grant(1, [], at: 2)
        history.grant(2, [0], at: 2.1)
        history.grant(3, [1], at: 3)
        history.grant(4, [1], at: 64)
        history.grant(5, [2], at: 5)
        history.grant(5, [3], at: 6, ends: 65)
        history.grant(6, [2], at: 7)
        #expect(history.rules.isEmpty)
    }

    @Test("While a release is under way nobody can say who has the seat")
    func releaseUnderWay() {
        var history = History()
        history.grant(1, [0], at: 1)
        history.checks.sent(.select([]), 1, now: .seconds(2))
        history.grant(2, [0], at: 2.001)
        #expect(history.rules.isEmpty)
    }

    @Test("An answer that another tab of the same user has overtaken proves nothing")
    func twoTabs() {
        var history = History()
        history.checks.sent(.select([0]), 1, now: .seconds(1))
        history.checks.sent(.select([]), 1, now: .seconds(1.005))
        var answer = FanAnswer()
        answer.ok = true
        answer.selectedSeats = ["A-1-1"]
        answer.fence = Fence(epoch: 1, counter: 1)
        answer.expiresAt = History.time(61)
        history.checks.answered(.select([0]), answer, 1, 1, sentAt: .seconds(1), now: .seconds(1.02))
        history.grant(2, [0], at: 2)
        #expect(history.rules.isEmpty)
    }

    @Test("Requests of two tabs that were done in another order than they were sent prove nothing of the earlier one")
    func crossingTabs() {
        var history = History()
        history.comes(1, at: 0)
        for (places, at) in [([1], 1.0), ([0], 1.005)] as [([Int32], Double)] {
            history.checks.sent(.select(places), 1, now: .seconds(at))
        }
        // The one that was sent first was done last: the seat of the other is free again.
        for (places, at, seq) in [([0], 1.005, 1), ([1], 1.0, 3)] as [([Int32], Double, Int64)] {
            var answer = FanAnswer()
            (answer.ok, answer.seq, answer.selectedSeats) = (true, seq, history.checks.venue.names(places))
            (answer.fence, answer.expiresAt) = (Fence(epoch: 1, counter: seq), History.time(61))
            history.checks.answered(.select(places), answer, 1, 1, sentAt: .seconds(at), now: .seconds(1.02))
        }
        history.checks.connected(1, 1, sentAt: .seconds(2), now: .seconds(2))
        history.checks.restored(1, 1, Self.restored(["A-1-2"], fence: 3), now: .seconds(2.1))
        history.seq = 4
        history.fence = 4
        history.grant(2, [0], at: 3)
        #expect(history.rules.isEmpty)
    }

    @Test("A later grant without a later fence is a breach, and so is one fence for two people")
    func fences() {
        var late = History()
        late.grant(1, [0], at: 1, fence: 7)
        late.grant(1, [], at: 2)
        late.grant(2, [0], at: 3, fence: 6)
        #expect(late.rules == [.fenceNotRising])
        var shared = History()
        shared.grant(1, [0], at: 1, fence: 7)
        shared.grant(2, [1], at: 3, fence: 7)
        #expect(shared.rules == [.fenceShared])
    }

    @Test("One seat in two live orders is a breach, whether paid or not")
    func soldTwice() {
        var unpaid = History()
        _ = unpaid.order(1, [0], at: 1)
        _ = unpaid.order(2, [0], at: 30)
        #expect(unpaid.rules == [.seatSoldTwice])
        var paid = History()
        let id = paid.order(1, [0], at: 1)
        paid.pay(1, id, at: 2)
        _ = paid.order(2, [0], at: 3_000)
        #expect(paid.rules == [.seatSoldTwice])
    }

    @Test("An order that expired or was given back lets its seats go")
    func ordersEnd() {
        var history = History()
        _ = history.order(1, [0], at: 1)
        _ = history.order(2, [0], at: 62)
        let id = history.order(3, [1], at: 63)
        history.checks.sent(.cancel(id), 3, now: .seconds(65))
        _ = history.order(4, [1], at: 65.001)
        #expect(history.rules.isEmpty)
    }

    @Test("A paid order is not given back: asking in vain changes nothing of whose seat it is")
    func paidIsKept() {
        var history = History()
        let id = history.order(1, [0], at: 1)
        history.pay(1, id, at: 2)
        history.checks.sent(.cancel(id), 1, now: .seconds(3))
        var refusal = FanAnswer()
        (refusal.httpStatus, refusal.code) = (409, "RESERVATION_STATE")
        history.checks.answered(.cancel(id), refusal, 1, 1, sentAt: .seconds(3), now: .seconds(3.1))
        #expect(history.checks.book.orders[id]?.state == .paid)
        _ = history.order(2, [0], at: 30)
        #expect(history.rules == [.seatSoldTwice])
    }

    @Test("A seat of a paid order that is granted to another is a breach, but not in the moment of the order")
    func soldSeatGranted() {
        var history = History()
        let id = history.order(1, [0], at: 1)
        history.grant(2, [0], at: 2)
        #expect(history.rules.isEmpty, "the seat map hears of an order a moment later")
        history.grant(2, [], at: 3)
        history.pay(1, id, at: 4)
        history.grant(3, [0], at: 30)
        #expect(history.rules == [.soldSeatGranted])
    }

    @Test("A service whose clock is an hour ahead is no breach")
    func foreignClock() {
        var history = History()
        history.grant(1, [0], at: 1, ends: 3_661)
        history.grant(2, [0], at: 62, ends: 3_722)
        #expect(history.rules.isEmpty)
        history.grant(3, [0], at: 63, ends: 3_723)
        #expect(history.rules == [.seatGrantedTwice])
    }

    // MARK: Seat messages

    @Test(
        "Messages that do not fit the seat's state are breaches",
        arguments: [
            ([(SeatLog.Kind.locked, 1), (.locked, 2)], Breach.Rule.seatGrantedTwice),
            ([(.locked, 1), (.reserved, 2), (.locked, 3)], .soldSeatGranted),
            ([(.locked, 1), (.reserved, 2), (.reserved, 3)], .seatSoldTwice),
            ([(.locked, 1), (.released, 2), (.released, 3)], .holdEndedTwice),
        ] as [([(SeatLog.Kind, Int64)], Breach.Rule)]
    )
    func impossibleMessages(_ messages: [(SeatLog.Kind, Int64)], _ rule: Breach.Rule) {
        var history = History()
        for (kind, seq) in messages { history.message(kind, [0], seq, at: Double(seq)) }
        #expect(history.rules == [rule])
    }

    @Test("Messages may be heard in any order and several times; they are judged in the order of their numbers")
    func messagesInAnyOrder() {
        var history = History()
        for seq in [3, 1, 1, 2, 3] as [Int64] {
            history.message(seq == 2 ? .released : .locked, [0], seq, at: 1)
        }
        #expect(history.rules.isEmpty && history.checks.log.messages == 3)
    }

    @Test("A seat released while its hold had time is a breach; a release from before the grant is none")
    func holdEndedEarly() {
        var history = History()
        history.grant(1, [0], at: 1)
        history.message(.locked, [0], 1, at: 1.1)
        history.message(.released, [0], 2, at: 20)
        #expect(history.rules == [.holdEndedEarly])
        var late = History()
        late.message(.locked, [0], 1, at: 1)
        late.seq = 2
        late.grant(1, [0], at: 2)
        late.message(.released, [0], 2, at: 2.5)
        #expect(late.rules.isEmpty)
    }

    // MARK: Queue

    @Test("A place that gets worse is a breach, also after a reconnection; a better one is none")
    func positions() {
        var history = History()
        history.join(1, at: 1, position: 10)
        _ = history.checks.position(1, 1, 7, now: .seconds(2))
        history.join(1, at: 3, position: 7)
        #expect(history.rules.isEmpty)
        var message = RestoredMessage()
        message.queue = .init(status: "waiting", position: 8)
        history.checks.restored(1, 1, message, now: .seconds(4))
        #expect(history.rules == [.positionWorse])
    }

    @Test("An HTTP answer is no worse than what the fan knew when asking; with what it crosses it has no order")
    func crossingPlaces() {
        var history = History()
        history.join(1, at: 1, position: 10)
        _ = history.checks.position(1, 1, 7, now: .seconds(3))
        history.check(1, sentAt: 2, at: 4, position: 10)
        #expect(history.rules.isEmpty)
        _ = history.checks.position(1, 1, 8, now: .seconds(5))
        #expect(history.rules == [.positionWorse])
        history.check(1, sentAt: 6, at: 7, position: 6)
        history.check(1, sentAt: 8, at: 9, position: 7)
        #expect(history.rules.count == 2)
        history.join(1, at: 10, position: 7)
        #expect(history.rules.count == 3)
    }

    @Test("Who leaves and joins again has a new place")
    func newPlace() {
        var history = History()
        history.join(1, at: 1, position: 3)
        history.checks.sent(.leaveQueue, 1, now: .seconds(2))
        history.join(1, at: 3, position: 9)
        #expect(history.rules.isEmpty)
    }

    @Test("Somebody who was there and still waits after one behind them was let in was overtaken")
    func overtaken() {
        var history = History()
        history.comes(1, at: 0)
        history.comes(2, at: 0)
        history.join(1, at: 1, position: 1)
        history.join(2, at: 2, position: 2)
        history.checks.admitted(2, until: History.time(100), now: .seconds(20))
        history.checks.tick(.seconds(24))
        #expect(history.rules.isEmpty, "the first one's word may be on its way")
        history.checks.tick(.seconds(26))
        #expect(history.rules == [.overtaken])
        #expect(history.checks.breaches.first?.fans == [1, 2])
    }

    @Test("Who joins again before hearing that the earlier pass is over keeps the place of the second joining")
    func lateWordOfAPass() {
        var history = History()
        history.comes(1, at: 0)
        history.comes(2, at: 0)
        history.join(2, at: 1, position: nil, status: "admitted")
        history.checks.admitted(2, until: History.time(100), now: .seconds(1.1))
        history.checks.sent(.leaveQueue, 2, now: .seconds(2))
        history.join(2, at: 2.1, position: 1)
        history.join(1, at: 3, position: 2)
        history.checks.passEnded(2, now: .seconds(4))
        history.join(2, at: 5, position: 1)
        history.checks.admitted(2, until: History.time(100), now: .seconds(20))
        history.checks.tick(.seconds(26))
        #expect(history.rules.isEmpty)
    }

    @Test("Who was away is passed over, and who is let in a moment later was not overtaken")
    func notOvertaken() {
        var away = History()
        away.comes(1, at: 0)
        away.join(1, at: 1, position: 1)
        away.join(2, at: 2, position: 2)
        away.checks.disconnected(1, 1, now: .seconds(10))
        away.checks.connected(1, 1, sentAt: .seconds(18), now: .seconds(18))
        away.checks.admitted(2, until: nil, now: .seconds(20))
        away.checks.tick(.seconds(27))
        #expect(away.rules.isEmpty)
        var soon = History()
        soon.comes(1, at: 0)
        soon.join(1, at: 1, position: 1)
        soon.join(2, at: 2, position: 2)
        soon.checks.admitted(2, until: nil, now: .seconds(20))
        soon.checks.admitted(1, until: nil, now: .seconds(20.3))
        soon.checks.tick(.seconds(27))
        #expect(soon.rules.isEmpty)
    }

    @Test("Joins that crossed on their way have no order")
    func crossed() {
        var history = History()
        history.comes(1, at: 0)
        history.join(1, at: 1, position: 1)
        history.join(2, at: 1.005, position: 2)
        history.checks.admitted(2, until: nil, now: .seconds(20))
        history.checks.tick(.seconds(26))
        #expect(history.rules.isEmpty)
    }

    @Test("One pass more than may be alive is a breach; passes that ran out do not count")
    func tooManyActive() {
        var history = History(maxActive: 2)
        for user in 1...4 { history.join(user, at: 1, position: user) }
        history.checks.admitted(1, until: History.time(10), now: .seconds(2))
        history.checks.admitted(2, until: History.time(100), now: .seconds(2))
        history.checks.tick(.seconds(3))
        history.checks.admitted(3, until: History.time(100), now: .seconds(12))
        history.checks.tick(.seconds(13))
        #expect(history.rules.isEmpty)
        history.checks.admitted(4, until: History.time(100), now: .seconds(14))
        history.checks.tick(.seconds(15))
        #expect(history.rules == [.tooManyActive])
    }

    // MARK: Connections

    private static func restored(_ seats: [String], fence: Int64?) -> RestoredMessage {
        var message = RestoredMessage()
        message.selectedSeats = seats
        message.holds = fence.map { .init(fence: Fence(epoch: 1, counter: $0)) }
        return message
    }

    @Test("A connection that does not get back the seats that were held is a breach, and one that hears nothing too")
    func restoring() {
        var right = History()
        right.comes(1, at: 0)
        right.grant(1, [0, 1], at: 1)
        right.checks.disconnected(1, 1, now: .seconds(5))
        var (less, older, silent) = (right, right, right)
        right.checks.connected(1, 1, sentAt: .seconds(6), now: .seconds(6.1))
        right.checks.restored(1, 1, Self.restored(["A-1-1", "A-1-2"], fence: 1), now: .seconds(6.2))
        right.checks.tick(.seconds(60))
        #expect(right.rules.isEmpty)
        less.checks.connected(1, 1, sentAt: .seconds(6), now: .seconds(6.1))
        less.checks.restored(1, 1, Self.restored(["A-1-1"], fence: 1), now: .seconds(6.2))
        #expect(less.rules == [.notRestored])
        older.checks.connected(1, 1, sentAt: .seconds(6), now: .seconds(6.1))
        older.checks.restored(1, 1, Self.restored(["A-1-1", "A-1-2"], fence: 0), now: .seconds(6.2))
        #expect(older.rules == [.notRestored])
        silent.checks.connected(1, 1, sentAt: .seconds(6), now: .seconds(6.1))
        silent.checks.tick(.seconds(30))
        #expect(silent.rules == [.notRestored])
    }

    @Test("Seats whose time ran out while the fan was away need not come back")
    func restoringLate() {
        var history = History()
        history.comes(1, at: 0)
        history.grant(1, [0], at: 1)
        history.checks.disconnected(1, 1, now: .seconds(5))
        history.checks.connected(1, 1, sentAt: .seconds(61), now: .seconds(61.1))
        history.checks.restored(1, 1, Self.restored([], fence: nil), now: .seconds(61.2))
        #expect(history.rules.isEmpty)
    }

    @Test("Invalid input that is answered ok is a breach")
    func nonsense() {
        var history = History()
        var answer = FanAnswer()
        answer.ok = true
        history.checks.answered(.nonsense(0), answer, 1, 1, sentAt: .seconds(1), now: .seconds(2))
        #expect(history.rules == [.nonsenseAccepted])
    }

    // MARK: A pause, tabs

    @Test("Who is granted a seat or let in while the sale is paused is a breach; what was on its way is none")
    func pause() {
        var history = History()
        history.comes(1, at: 0)
        history.join(1, at: 1, position: 1)
        history.checks.paused(at: .seconds(10))
        history.message(.locked, [0], 1, at: 14)
        #expect(history.rules.isEmpty)
        history.message(.released, [0], 2, at: 20)
        history.message(.locked, [1], 3, at: 21)
        history.checks.admitted(1, until: nil, now: .seconds(22))
        #expect(history.rules == [.soldWhilePaused, .admittedWhilePaused])
        history.checks.resumed()
        history.message(.locked, [2], 4, at: 30)
        #expect(history.rules.count == 2)
    }

    @Test("Who was away hears of an earlier pass in the pause: no breach")
    func pauseAway() {
        var history = History()
        history.join(1, at: 1, position: 1)
        history.checks.paused(at: .seconds(10))
        history.comes(1, at: 20)
        history.checks.admitted(1, until: nil, now: .seconds(21))
        #expect(history.rules.isEmpty)
    }

    /// A person with two tabs in the event's room.
    private static func twoTabs() -> History {
        var history = History()
        var answer = FanAnswer()
        answer.ok = true
        for fan in [1, 2] { history.checks.connected(fan, 1, sentAt: .zero, now: .zero) }
        for fan in [1, 2] {
            history.checks.answered(.joinEvent, answer, fan, 1, sentAt: .zero, now: .seconds(1))
        }
        return history
    }

    @Test("A tab that is not told what the other one chose is a breach")
    func tabNotTold() {
        var history = Self.twoTabs()
        history.grant(1, [0], at: 5)
        history.checks.tick(.seconds(14))
        #expect(history.rules.isEmpty)
        history.checks.tick(.seconds(16))
        #expect(history.rules == [.tabNotTold])
    }

    @Test("One word may tell a tab of several choices, or that all is gone; a tab that left need not be told")
    func tabTold() {
        var told = Self.twoTabs()
        told.grant(1, [0], at: 5)
        told.grant(1, [1], at: 6)
        told.checks.selectionChanged(2, Fence(epoch: 1, counter: 2), now: .seconds(7))
        told.checks.tick(.seconds(30))
        #expect(told.rules.isEmpty)
        var gone = Self.twoTabs()
        gone.grant(1, [0], at: 5)
        gone.checks.selectionChanged(2, nil, now: .seconds(7))
        gone.checks.tick(.seconds(30))
        #expect(gone.rules.isEmpty)
        var left = Self.twoTabs()
        left.grant(1, [0], at: 5)
        left.checks.disconnected(2, 1, now: .seconds(6))
        left.checks.tick(.seconds(30))
        #expect(left.rules.isEmpty)
        var early = Self.twoTabs()
        early.checks.selectionChanged(2, Fence(epoch: 1, counter: 1), now: .seconds(4))
        early.grant(1, [0], at: 5)
        early.checks.tick(.seconds(30))
        #expect(early.rules.isEmpty)
    }

    @Test("An order whose payment is never answered keeps its seats, and must be found so")
    func neverAnswered() {
        var history = History()
        let id = history.order(1, [0], at: 1)
        let request = FanRequest.pay(id, method: "sandbox-never")
        history.checks.sent(request, 1, now: .seconds(2))
        var answer = FanAnswer()
        (answer.httpStatus, answer.success) = (202, false)
        history.checks.answered(request, answer, 1, 1, sentAt: .seconds(2), now: .seconds(2.1))
        let order = history.checks.book.orders[id]
        #expect(order?.state == .paying)
        for (found, rule) in [("paying", nil), ("paid", nil), ("expired", .wrongState)] as [(String, Breach.Rule?)] {
            let breach = order.flatMap {
                history.checks.book.judge($0, .init(status: found, seats: [0]), at: .seconds(500))
            }
            #expect(breach?.rule == rule)
        }
        _ = history.order(2, [0], at: 400)
        #expect(history.rules == [.seatSoldTwice])
    }

    @Test("Standing places are had by one like seats, though they are on no map")
    func standing() {
        let venue = Venue(
            eventID: "e",
            seats: [("A-1-1", "A-1")],
            maxSeatsPerUser: 4,
            hold: .seconds(60),
            hasQueue: false,
            standing: [("Floor", 2)]
        )
        var history = History()
        history.checks = Checks(venue, startedAt: Self.start)
        history.checks.log.start(Array("a".utf8), seq: 0)
        #expect(venue.seatIDs == ["A-1-1", "Floor-0-1", "Floor-0-2"])
        var random = FanRandom(seed: 1)
        #expect(venue.choose(2, among: Array("a".utf8), &random) == [0])
        history.grant(1, [1], at: 1)
        history.grant(2, [1, 2], at: 2)
        #expect(history.rules == [.seatGrantedTwice])
    }

    // MARK: Orders found again

    @Test(
        "Orders must be found again as they were left",
        arguments: [
            ("paid", nil, Breach.Rule.paymentLost), ("paid", "expired", .paymentLost), ("paid", "paid", nil),
            ("pending", nil, .reservationLost), ("pending", "pending", nil), ("pending", "cancelled", .wrongState),
            ("expired", "expired", nil), ("expired", "pending", .wrongState), ("unknown", "paid", nil),
            ("unknown", "expired", nil), ("cancelled", "paid", .wrongState), ("cancelled", "refunded", nil),
        ] as [(String, String?, Breach.Rule?)]
    )
    func foundAgain(_ left: String, _ found: String?, _ rule: Breach.Rule?) {
        var history = History()
        let id = history.order(1, [0], at: 1, ends: left == "expired" ? 30 : 500)
        if left == "paid" { history.pay(1, id, at: 2) }
        if left == "unknown" { history.checks.sent(.pay(id, method: "sandbox"), 1, now: .seconds(2)) }
        if left == "cancelled" {
            history.checks.sent(.cancel(id), 1, now: .seconds(3))
            var answer = FanAnswer()
            answer.httpStatus = 200
            history.checks.answered(.cancel(id), answer, 1, 1, sentAt: .seconds(3), now: .seconds(3.1))
        }
        let order = history.checks.book.orders[id]
        let breach = order.flatMap {
            history.checks.book.judge($0, found.map { .init(status: $0, seats: [0]) }, at: .seconds(60))
        }
        #expect(order != nil && breach?.rule == rule)
    }

    @Test("An order found with other seats is a breach")
    func otherSeats() {
        var history = History()
        let id = history.order(1, [0, 1], at: 1)
        let order = history.checks.book.orders[id]
        let breach = order.flatMap {
            history.checks.book.judge($0, .init(status: "pending", seats: [0]), at: .seconds(2))
        }
        #expect(breach?.rule == .wrongState)
    }
}

@Suite struct SeqFollowerTests {
    @Test("In order is fine; what is from before the room is passed over; twice is a breach of order")
    func order() {
        var follower = SeqFollower()
        #expect(follower.receive(4) == .ignored)
        follower.join(at: 5)
        #expect(follower.receive(5) == .ignored)
        #expect(follower.receive(6) == .inOrder)
        #expect(follower.receive(7) == .inOrder)
        #expect(follower.receive(7) == .wrongOrder(after: 7))
    }

    @Test("Messages that overtake the answer to joining are not missed")
    func early() {
        var follower = SeqFollower()
        for seq in 4...7 as ClosedRange<Int64> { #expect(follower.receive(seq) == .ignored) }
        follower.join(at: 5)
        #expect(follower.receive(8) == .inOrder)
        var late = SeqFollower()
        _ = late.receive(9)
        late.join(at: 5)
        #expect(late.receive(10) == .gap(after: 5))
    }

    @Test("A gap that sync fills is none; one that it does not fill stays one")
    func gaps() {
        var follower = SeqFollower()
        follower.join(at: 5)
        #expect(follower.receive(8) == .gap(after: 5))
        var (full, holed, short) = (follower, follower, follower)
        #expect(full.receive(9) == .ignored)
        let filled = full.synced([6, 7, 8])
        #expect(filled && full.receive(10) == .inOrder)
        let isHoleless = holed.synced([6, 8])
        let isLongEnough = short.synced([6])
        let isFineAfterReset = follower.synced(nil)
        #expect(!isHoleless && !isLongEnough && isFineAfterReset)
    }
}
