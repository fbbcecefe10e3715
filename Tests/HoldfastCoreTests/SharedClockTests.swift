import Testing

@testable import HoldfastCore

@Suite struct SharedClockTests {
    private let asked = ServerTime(millisecondsSinceEpoch: 1_800_000_000_000)

    @Test(
        "A machine an hour off goes by PostgreSQL's clock, however long the answer took",
        arguments: [-3_600_000, 3_600_000] as [Int64],
        [0, 40, 2_000] as [Int64]
    )
    func hourOff(_ off: Int64, _ millisecondsTaken: Int64) {
        let answered = asked + .milliseconds(millisecondsTaken)
        // Looked at half way.
        let shown = ServerTime(millisecondsSinceEpoch: asked.millisecondsSinceEpoch + millisecondsTaken / 2 - off)
        let correction = SharedClock.correction(shown, asked: asked, answered: answered)
        #expect(correction == .milliseconds(-off))
        #expect(SharedClock.correction(shown, asked: asked + correction, answered: answered + correction) == .zero)
    }

    @Test("Time does not jump for what a slow answer may explain")
    func doubt() {
        let answered = asked + .milliseconds(600)
        for shown in [-100, 0, 300, 600, 700] as [Int64] {
            let shown = asked + .milliseconds(shown)
            #expect(SharedClock.correction(shown, asked: asked, answered: answered) == .zero)
        }
        #expect(SharedClock.correction(asked + .milliseconds(701), asked: asked, answered: answered) != .zero)
        #expect(SharedClock.correction(asked + .milliseconds(-101), asked: asked, answered: answered) != .zero)
    }

    @Test("Until PostgreSQL was asked, the machine's clock is believed")
    func before() {
        // Other tests of this process ask a PostgreSQL on this machine.
        let difference = SharedClock.machineIsAhead
        #expect(difference < .seconds(2) && difference > .seconds(-2))
    }
}
