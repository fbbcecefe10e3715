import Metrics

/// Counters of all Socket.IO servers of the process, made once.
struct SocketIOMetrics: Sendable {
    static let shared = SocketIOMetrics()

    private let connected = Counter(label: "socketio_sockets_connected_total")
    private let refused = Counter(label: "socketio_connects_refused_total")
    private let events = Counter(label: "socketio_events_received_total")
    private let broadcasts = Counter(label: "socketio_broadcasts_total")
    private let invalid = Counter(label: "socketio_invalid_packets_total")
    private let flooding = Counter(label: "socketio_flooding_connections_total")
    private let encoding = Counter(label: "socketio_encoding_failures_total")

    func socketConnected() { self.connected.increment() }
    func connectRefused() { self.refused.increment() }
    func eventReceived() { self.events.increment() }
    func broadcastSent() { self.broadcasts.increment() }
    func invalidPacket() { self.invalid.increment() }
    func flooded() { self.flooding.increment() }
    func encodingFailed() { self.encoding.increment() }
}
