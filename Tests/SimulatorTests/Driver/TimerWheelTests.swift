import Simulator
import Testing

@Suite struct TimerWheelTests {
    @Test("Nobody is woken early, and all are within a slot")
    func punctual() {
        var wheel = TimerWheel()
        var random = FanRandom(seed: 7)
        var moments: [Moment] = []
        for fan in 0..<2_000 {
            moments.append(.seconds(random.fraction() * 60))
            wheel.add(Int32(fan), at: moments[fan])
        }
        var woken: [Int32: Moment] = [:]
        for step in 0...6_010 {
            let now = Moment.seconds(Double(step) / 100)
            for fan in wheel.due(now) {
                #expect(woken.updateValue(now, forKey: fan) == nil)
            }
        }
        #expect(woken.count == 2_000)
        for (fan, at) in woken {
            let late = at - moments[Int(fan)]
            #expect(late >= .zero && late <= .milliseconds(20))
        }
    }

    @Test("A moment that has passed is woken in the next turn")
    func past() {
        var wheel = TimerWheel()
        _ = wheel.due(.seconds(10))
        wheel.add(1, at: .seconds(3))
        #expect(wheel.due(.seconds(10.01)) == [1])
    }
}
