import HoldfastCore
import Testing

@testable import Seating

@Suite struct SweepRoundTests {
    private let start = ContinuousClock.now
    private let id = EventID()

    private func listed(_ holdTime: Duration, isClosed: Bool = false) -> SweepRound.Listed {
        SweepRound.Listed(id: id, isClosed: isClosed, holdTime: holdTime)
    }

    @Test("An event is swept at once when it is first listed, then rests until a hold is due")
    func rests() {
        var round = SweepRound()
        round.list([listed(.seconds(600))], now: start)
        #expect(round.due(at: start) == [id])
        round.swept(id, holdsLeft: 3, nextDue: .milliseconds(400), now: start)
        #expect(round.due(at: start + .milliseconds(399)).isEmpty)
        #expect(round.due(at: start + .milliseconds(400)) == [id])
        #expect(round.holds == 3)
    }

    @Test("No rest is longer than a second, or than half of the event's hold time")
    func restIsBounded() {
        var round = SweepRound()
        round.list([listed(.seconds(600))], now: start)
        round.swept(id, holdsLeft: 1, nextDue: .seconds(500), now: start)
        #expect(round.due(at: start + .milliseconds(999)).isEmpty)
        #expect(round.due(at: start + .seconds(1)) == [id])
        round.list([listed(.seconds(1))], now: start + .seconds(1))
        round.swept(id, holdsLeft: 0, nextDue: nil, now: start + .seconds(1))
        #expect(round.due(at: start + .milliseconds(1_499)).isEmpty)
        #expect(round.due(at: start + .milliseconds(1_500)) == [id])
    }

    @Test("A hold time that was shortened ends a rest that began before")
    func shortened() {
        var round = SweepRound()
        round.list([listed(.seconds(600))], now: start)
        round.swept(id, holdsLeft: 0, nextDue: nil, now: start)
        round.list([listed(.seconds(1))], now: start + .milliseconds(500))
        #expect(round.due(at: start + .milliseconds(500)) == [id])
    }

    @Test("A closed event is swept until it has had no holds for a second, and again when it opens")
    func closed() {
        var round = SweepRound()
        round.list([listed(.seconds(600), isClosed: true)], now: start)
        round.swept(id, holdsLeft: 0, nextDue: nil, now: start + .milliseconds(900))
        #expect(round.due(at: start + .seconds(2)) == [id])
        round.swept(id, holdsLeft: 1, nextDue: .seconds(500), now: start + .seconds(2))
        #expect(round.due(at: start + .seconds(3)) == [id])
        round.swept(id, holdsLeft: 0, nextDue: nil, now: start + .seconds(3))
        #expect(round.due(at: start + .seconds(60)).isEmpty)
        round.list([listed(.seconds(600))], now: start + .seconds(60))
        #expect(round.due(at: start + .seconds(60)) == [id])
    }

    @Test("An event that is no longer listed is no longer swept, and its holds no longer count")
    func gone() {
        var round = SweepRound()
        round.list([listed(.seconds(600))], now: start)
        round.swept(id, holdsLeft: 2, nextDue: .zero, now: start)
        round.list([], now: start + .milliseconds(500))
        round.swept(id, holdsLeft: 2, nextDue: .zero, now: start + .milliseconds(500))
        #expect(round.due(at: start + .seconds(9)).isEmpty)
        #expect(round.holds == 0)
    }
}
