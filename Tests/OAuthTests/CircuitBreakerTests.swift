import Testing

@testable import OAuth

@Suite struct CircuitBreakerTests {
    private let start = ContinuousClock.now

    @Test("It opens after the fifth failure in a row, not before")
    func opens() {
        var breaker = CircuitBreaker()
        for _ in 0..<4 { breaker.failed(now: start) }
        #expect(breaker.request(now: start) == .ask)
        breaker.succeeded()
        for _ in 0..<4 { breaker.failed(now: start) }
        #expect(breaker.isClosed)
        breaker.failed(now: start)
        #expect(!breaker.isClosed)
        #expect(breaker.request(now: start) == .wait(.seconds(5)))
        #expect(breaker.request(now: start + .seconds(2)) == .wait(.seconds(3)))
    }

    @Test("After the pause one request goes out, and what comes of it decides")
    func probes() {
        var breaker = CircuitBreaker()
        for _ in 0..<5 { breaker.failed(now: start) }
        let later = start + .seconds(5)
        #expect(breaker.request(now: later) == .ask)
        #expect(breaker.request(now: later) == .wait(.seconds(5)), "the others wait for the probe")
        breaker.failed(now: later + .seconds(1))
        #expect(breaker.request(now: later + .seconds(2)) == .wait(.seconds(4)))
        #expect(breaker.request(now: later + .seconds(6)) == .ask)
        breaker.succeeded()
        #expect(breaker.request(now: later + .seconds(6)) == .ask)
        #expect(breaker.isClosed)
    }

    @Test("A probe that never reports makes room for another")
    func lostProbe() {
        var breaker = CircuitBreaker()
        for _ in 0..<5 { breaker.failed(now: start) }
        #expect(breaker.request(now: start + .seconds(5)) == .ask)
        #expect(breaker.request(now: start + .seconds(9)) == .wait(.seconds(1)))
        #expect(breaker.request(now: start + .seconds(10)) == .ask)
    }

    @Test("Failures of requests from before it opened do not prolong the pause")
    func lateFailures() {
        var breaker = CircuitBreaker()
        for _ in 0..<9 { breaker.failed(now: start) }
        breaker.failed(now: start + .seconds(4))
        #expect(breaker.request(now: start + .seconds(5)) == .ask)
    }
}
