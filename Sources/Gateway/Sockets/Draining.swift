import Logging
import ServiceLifecycle
import SocketIO
import Synchronization

/// Whether this instance is leaving: not ready for new people, and finishing with those it has.
package final class DrainState: Sendable {
    private let draining = Mutex(false)

    package init() {}

    var isDraining: Bool { draining.withLock { $0 } }

    func begin() { draining.withLock { $0 = true } }
}

/// On SIGTERM: not ready at once, then every socket is told its own moment to come back, and is let go at that moment.
///
/// It stands last in the service group, so that it runs while everything it needs still does; the HTTP server stops
/// listening after it. People come back spread over time, so the other instances see a slope, not a wall.
struct Drain: Service {
    let state: DrainState
    let sockets: LocalSockets
    let logger: Logger

    /// The longest anybody is kept waiting. Leaves ten seconds of the thirty for what is in flight.
    private static let longest = Duration.seconds(20)
    /// How many come back per second at most, while the longest wait allows it.
    private static let returnsPerSecond = 500

    func run() async throws {
        try? await gracefulShutdown()
        state.begin()
        let leaving = sockets.all
        logger.info("draining", metadata: ["sockets": "\(leaving.count)"])
        let spread = min(Self.longest, .milliseconds(1_000 + leaving.count * 1_000 / Self.returnsPerSecond))
        let moments = leaving.map { socket in
            (socket, Duration.milliseconds(Int64.random(in: 100...max(101, Int64(spread / .milliseconds(1))))))
        }
        for (socket, moment) in moments {
            socket.emit("server-draining", DrainingPayload(reconnectAfterMs: Int64(moment / .milliseconds(1))))
        }
        let start = ContinuousClock.now
        for (socket, moment) in moments.sorted(by: { $0.1 < $1.1 }) {
            try? await Task.sleep(until: start + moment, clock: .continuous)
            socket.closeConnection()
        }
        logger.info("drained")
    }
}

private struct DrainingPayload: Encodable, Sendable {
    let reconnectAfterMs: Int64
}
