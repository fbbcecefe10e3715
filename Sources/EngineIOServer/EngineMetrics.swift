import Metrics

/// Counters of all Engine.IO endpoints of the process, made once.
struct EngineMetrics: Sendable {
    static let shared = EngineMetrics()

    let sessionsOpened = Counter(label: "engineio_sessions_opened_total")
    let sessionsClosed = Counter(label: "engineio_sessions_closed_total")
    let sessions = Gauge(label: "engineio_sessions")
    let refused = Counter(label: "engineio_handshakes_refused_total")
    let bufferedBytes = Gauge(label: "engineio_buffered_bytes")
    let messagesReceived = Counter(label: "engineio_messages_received_total")
    let slowConsumers = Counter(label: "engineio_slow_consumers_total")
    let protocolErrors = Counter(label: "engineio_protocol_errors_total")
}
