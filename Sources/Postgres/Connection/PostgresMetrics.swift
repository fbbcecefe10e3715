import Metrics

/// What the client counts, made once per client.
struct PostgresMetrics: Sendable {
    private let leases = Gauge(label: "holdfast_postgres_leases")
    private let waiters = Gauge(label: "holdfast_postgres_waiters")
    private let succeeded = Timer(label: "holdfast_postgres_query_seconds", dimensions: [("outcome", "ok")])
    private let failed = Timer(label: "holdfast_postgres_query_seconds", dimensions: [("outcome", "error")])

    func pool(leased: Int, waiting: Int) {
        leases.record(leased)
        waiters.record(waiting)
    }

    func query(since start: ContinuousClock.Instant, isSuccess: Bool) {
        (isSuccess ? succeeded : failed).record(duration: start.duration(to: .now))
    }
}
