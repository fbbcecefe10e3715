/// Stops asking a provider that does not answer, so that it costs nobody else their time.
///
/// After `threshold` failures in a row nothing is asked for `pause`; then one request goes out as a probe, and what comes
/// of it decides. Only silence and 5xx answers are failures: a refusal shows that the provider is there.
struct CircuitBreaker: Sendable {
    enum Permission: Sendable, Equatable {
        case ask
        case wait(Duration)
    }

    private enum State: Sendable {
        case closed(failures: Int)
        case open(until: ContinuousClock.Instant)
        case probing(until: ContinuousClock.Instant)
    }

    private let threshold: Int
    private let pause: Duration
    private var state = State.closed(failures: 0)

    init(threshold: Int = 5, pause: Duration = .seconds(5)) {
        self.threshold = threshold
        self.pause = pause
    }

    mutating func request(now: ContinuousClock.Instant) -> Permission {
        switch state {
        case .closed: return .ask
        case .open(let until) where now < until, .probing(let until) where now < until:
            return .wait(until - now)
        case .open, .probing:
            // A probe that never reports (its task was cancelled) makes room for another after the pause.
            state = .probing(until: now + pause)
            return .ask
        }
    }

    mutating func succeeded() { state = .closed(failures: 0) }

    mutating func failed(now: ContinuousClock.Instant) {
        switch state {
        case .closed(let failures) where failures + 1 < threshold: state = .closed(failures: failures + 1)
        case .closed, .probing: state = .open(until: now + pause)
        case .open: break  // A request from before it opened.
        }
    }

    var isClosed: Bool { if case .closed = state { true } else { false } }
}
