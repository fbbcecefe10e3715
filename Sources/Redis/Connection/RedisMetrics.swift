import Metrics

/// The metrics of a client, made once.
struct RedisMetrics: Sendable {
    /// How commands end: a closed set, fit for a label.
    enum Outcome: String, CaseIterable, Sendable {
        /// Redis answered, be it with an error.
        case answered
        case timedOut = "timed_out"
        /// The connection went with the command in flight.
        case lost
        case cancelled
        /// No connection before the deadline, a full line, a closed client, or a refused password.
        case refused
    }

    private let commands: [Outcome: Counter]
    private let reconnects = Counter(label: "redis_reconnects_total")
    private let roundTrip = Timer(label: "redis_command_seconds")
    private let inFlight = Gauge(label: "redis_commands_in_flight")

    init() {
        commands = Dictionary(
            uniqueKeysWithValues: Outcome.allCases.map { outcome in
                (outcome, Counter(label: "redis_commands_total", dimensions: [("outcome", outcome.rawValue)]))
            }
        )
    }

    func ended(_ outcome: Outcome, _ count: Int) {
        commands[outcome]?.increment(by: count)
    }

    func roundTrip(since start: ContinuousClock.Instant) {
        roundTrip.record(duration: start.duration(to: .now))
    }

    func reconnecting() {
        reconnects.increment()
    }

    func recordInFlight(_ count: Int) {
        inFlight.record(count)
    }
}
