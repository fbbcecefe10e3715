import Metrics
import SocketIO
import Synchronization

/// How many sockets are connected, and why others are not any more.
final class SocketMetrics: Sendable {
    private let sockets = Meter(label: "holdfast_sockets")
    /// By reason; the reasons are the server's own.
    private let closed = Mutex<[String: Counter]>([:])

    func connected() { sockets.increment() }

    func disconnected(_ reason: DisconnectReason) {
        sockets.decrement()
        let counter = closed.withLock { closed in
            let name = reason.rawValue
            let counter =
                closed[name] ?? Counter(label: "holdfast_sockets_closed_total", dimensions: [("reason", name)])
            closed[name] = counter
            return counter
        }
        counter.increment()
    }
}
