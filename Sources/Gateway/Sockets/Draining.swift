import Logging
import ServiceLifecycle
import SocketIO
import Synchronization

/// How far this instance is with leaving.
package final class DrainState: Sendable {
    private enum Phase { case serving, notReady, closed }

    private let phase = Mutex(Phase.serving)

    package init() {}

    /// Not ready: balancers should send nobody any more. Who comes all the same is served.
    var isDraining: Bool { phase.withLock { $0 != .serving } }
    /// Balancers have had their time to notice; new sockets are refused.
    var refusesSockets: Bool { phase.withLock { $0 == .closed } }

    func begin() { phase.withLock { $0 = .notReady } }
    func close() { phase.withLock { $0 = .closed } }
}

/// On SIGTERM: not ready at once, then every socket is told its own moment to come back, and is let go at that moment.
///
/// Balancers learn of it at their next health check, so for `notice` everything is served as before. No moment lies
/// within it: who came back sooner would be sent here again. Afterwards people come back spread over time, so the other
/// instances see a slope, not a wall.
///
/// It stands last in the service group, so that it runs while everything it needs still does; the HTTP server stops
/// listening after it.
struct Drain: Service {
    let state: DrainState
    let sockets: LocalSockets
    /// How long balancers need to notice: at most ``longestNotice``.
    let notice: Duration
    let logger: Logger

    static let longestNotice = Duration.seconds(15)
    /// The longest anybody is kept waiting. Leaves ten seconds of the thirty for what is in flight.
    private static let longest = Duration.seconds(20)
    /// How many come back per second at most, while the longest wait allows it.
    private static let returnsPerSecond = 500

    func run() async throws {
        try? await gracefulShutdown()
        let start = ContinuousClock.now
        state.begin()
        let first = sockets.all
        logger.info("draining", metadata: ["sockets": "\(first.count)"])
        var leaving = tell(first, after: notice, since: start)
        try? await Task.sleep(until: start + notice, clock: .continuous)
        state.close()
        let told = Set(first.map(\.id))
        leaving += tell(sockets.all.filter { !told.contains($0.id) }, after: .zero, since: .now)
        for (socket, moment) in leaving.sorted(by: { $0.1 < $1.1 }) {
            try? await Task.sleep(until: moment, clock: .continuous)
            socket.closeConnection()
        }
        logger.info("drained")
    }

    private func tell(
        _ leaving: [Socket],
        after wait: Duration,
        since now: ContinuousClock.Instant
    ) -> [(Socket, ContinuousClock.Instant)] {
        let spread = min(Self.longest - notice, .milliseconds(1_000 + leaving.count * 1_000 / Self.returnsPerSecond))
        return leaving.map { socket in
            let pause = wait + .milliseconds(Int64.random(in: 100...max(101, Int64(spread / .milliseconds(1)))))
            socket.emit("server-draining", DrainingPayload(reconnectAfterMs: Int64(pause / .milliseconds(1))))
            return (socket, now + pause)
        }
    }
}

private struct DrainingPayload: Encodable, Sendable {
    let reconnectAfterMs: Int64
}
