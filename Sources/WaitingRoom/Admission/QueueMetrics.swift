import Metrics

/// What is counted about waiting rooms, made once per leader.
struct QueueMetrics: Sendable {
    private let waiting = Gauge(label: "holdfast_queue_waiting")
    private let active = Gauge(label: "holdfast_queue_active")
    private let letIn = Counter(label: "holdfast_queue_admitted_total")
    private let tick = Timer(label: "holdfast_queue_tick_seconds")

    /// One round over all queues.
    func ticked(_ results: [QueueScripts.TickResult], since start: ContinuousClock.Instant) {
        waiting.record(results.reduce(0) { $0 + $1.waiting })
        active.record(results.reduce(0) { $0 + $1.active })
        tick.record(duration: start.duration(to: .now))
    }

    func admitted(_ people: Int) { letIn.increment(by: people) }

    /// Another counts from here on.
    func resigned() {
        waiting.record(0)
        active.record(0)
    }
}
