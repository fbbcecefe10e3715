import HoldfastCore
import Simulator
import Testing

/// What a failover of Redis may end, and what it may not.
@Suite struct SeatLivesTests {
    /// Two people at three seats. Fences are `LIFE.COUNTER`; holds last a minute.
    private struct Play {
        static let start = ServerTime(millisecondsSinceEpoch: 1_800_000_000_000)
        var checks: Checks
        private var counter: Int64 = 0

        init(failovers: Int) {
            let seats = (1...3).map { (id: "A-1-\($0)", row: "A-1") }
            let venue = Venue(eventID: "e", seats: seats, maxSeatsPerUser: 4, hold: .seconds(60), hasQueue: false)
            checks = Checks(venue, failovers: failovers, startedAt: Self.start)
        }

        mutating func grant(_ user: Int, _ seats: [Int32], life: Int64, at: Double) {
            counter += 1
            var answer = FanAnswer()
            (answer.ok, answer.seq, answer.selectedSeats) = (true, counter, checks.venue.names(seats))
            answer.fence = Fence(epoch: life, counter: counter)
            answer.expiresAt = Self.start + .milliseconds(Int64(at * 1_000) + 60_000)
            checks.sent(.select(seats), user, now: .seconds(at))
            checks.answered(.select(seats), answer, user, user, sentAt: .seconds(at), now: .seconds(at + 0.01))
        }

        mutating func buy(_ user: Int, _ seats: [Int32], at: Double) {
            let (order, id) = (FanRequest.reserve(seats, key: 1), ReservationID())
            var answer = FanAnswer()
            (answer.httpStatus, answer.reservationId) = (201, id)
            checks.sent(order, user, now: .seconds(at))
            checks.answered(order, answer, user, user, sentAt: .seconds(at), now: .seconds(at + 0.01))
            let payment = FanRequest.pay(id, method: "sandbox")
            (answer.httpStatus, answer.success) = (200, true)
            checks.sent(payment, user, now: .seconds(at + 0.02))
            checks.answered(payment, answer, user, user, sentAt: .seconds(at + 0.02), now: .seconds(at + 0.03))
        }

        var rules: [Breach.Rule] { checks.breaches.map(\.rule) }
    }

    @Test("A failover that was announced ends every hold: the seats may be granted to others")
    func holdsEnd() {
        var play = Play(failovers: 1)
        play.grant(1, [0, 1], life: 1, at: 1)
        play.grant(2, [2], life: 2, at: 10)
        play.grant(2, [0, 2], life: 2, at: 11)
        // Coming back, the first need not find what the failover ended.
        play.checks.connected(1, 1, sentAt: .seconds(12), now: .seconds(12))
        play.checks.restored(1, 1, RestoredMessage(), now: .seconds(12.1))
        play.checks.finish()
        #expect(play.rules.isEmpty)
        #expect(play.checks.failoversSeen == (ended: 1, dismissed: [:]))
    }

    @Test("A failover ends no order: a sold seat that is granted to another afterwards is a breach")
    func ordersStay() {
        var play = Play(failovers: 1)
        play.grant(1, [0], life: 1, at: 1)
        play.buy(1, [0], at: 2)
        play.grant(2, [0], life: 2, at: 20)
        play.checks.finish()
        #expect(play.rules == [.soldSeatGranted])
    }

    @Test("Holds that end without a failover are a breach")
    func unannounced() {
        var play = Play(failovers: 0)
        play.grant(1, [0], life: 1, at: 1)
        play.grant(2, [1], life: 2, at: 10)
        #expect(play.rules == [.holdEndedEarly])
    }

    @Test("One life more than failovers were announced is a breach")
    func oneTooMany() {
        var play = Play(failovers: 1)
        for life in 1...3 { play.grant(1, [0], life: Int64(life), at: Double(life)) }
        #expect(play.rules == [.holdEndedEarly])
    }

    @Test("What two answers of a life's last moments contradict proves nothing once it has ended")
    func lastMoments() {
        var play = Play(failovers: 1)
        play.grant(1, [0], life: 1, at: 1)
        play.grant(2, [0], life: 1, at: 2)
        play.checks.tick(.seconds(3))
        #expect(play.rules.isEmpty, "a failover may be under way")
        play.grant(2, [1], life: 2, at: 4)
        play.checks.finish()
        #expect(play.rules.isEmpty)
        #expect(play.checks.failoversSeen == (ended: 1, dismissed: [.seatGrantedTwice: 1]))
    }

    @Test("Two people granted one seat are a breach if no failover follows soon, or none is left")
    func noFailover() {
        var waiting = Play(failovers: 1)
        waiting.grant(1, [0], life: 1, at: 1)
        waiting.grant(2, [0], life: 1, at: 2)
        waiting.checks.tick(.seconds(30))
        #expect(waiting.rules == [.seatGrantedTwice])
        var over = Play(failovers: 1)
        over.grant(1, [0], life: 1, at: 1)
        over.grant(1, [0], life: 2, at: 2)
        over.grant(2, [0], life: 2, at: 3)
        #expect(over.rules == [.seatGrantedTwice])
        var atTheEnd = Play(failovers: 1)
        atTheEnd.grant(1, [0], life: 1, at: 1)
        atTheEnd.grant(2, [0], life: 1, at: 2)
        atTheEnd.checks.finish()
        #expect(atTheEnd.rules == [.seatGrantedTwice])
    }

    @Test("An answer of the life before that is read late claims nothing")
    func lateAnswer() {
        var play = Play(failovers: 1)
        play.grant(1, [1], life: 1, at: 1)
        play.grant(2, [0], life: 2, at: 2)
        play.grant(1, [0, 1], life: 1, at: 2.1)
        #expect(play.rules.isEmpty)
    }
}
