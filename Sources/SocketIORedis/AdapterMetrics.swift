import Metrics

/// Counters of the Redis adapter, made once.
struct AdapterMetrics: Sendable {
    static let shared = AdapterMetrics()

    private let sent = Counter(label: "socketio_adapter_published_total")
    private let got = Counter(label: "socketio_adapter_received_total")
    private let bad = Counter(label: "socketio_adapter_malformed_total")
    private let lost = Counter(label: "socketio_adapter_unpublished_total")

    func published() { self.sent.increment() }
    func received() { self.got.increment() }
    func malformed() { self.bad.increment() }
    func failed(_ count: Int) { self.lost.increment(by: count) }
}
