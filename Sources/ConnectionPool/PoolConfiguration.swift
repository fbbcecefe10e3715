/// The bounds of one pool.
package struct PoolConfiguration: Sendable, Equatable {
    /// Connections at most, whether connecting, idle or leased.
    package var maxConnections: Int
    /// Idle connections kept however long nobody asks for them.
    package var minIdle: Int
    /// Callers that may wait for a lease; one more is refused at once. From the table of queues in the style guide.
    package var maxWaiters: Int
    /// How long a caller waits for a lease.
    package var acquireTimeout: Duration
    /// How long a connection may be idle before it is asked whether it still lives.
    package var keepAliveInterval: Duration
    /// How long a connection above ``minIdle`` may go unleased before it is closed.
    package var idleTimeout: Duration
    /// The pause after the first failure to connect; it doubles with each further failure up to ``maxBackoff``.
    package var minBackoff: Duration
    package var maxBackoff: Duration

    package init(
        maxConnections: Int,
        minIdle: Int = 1,
        maxWaiters: Int = 256,
        acquireTimeout: Duration = .seconds(2),
        keepAliveInterval: Duration = .seconds(30),
        idleTimeout: Duration = .seconds(120),
        minBackoff: Duration = .milliseconds(50),
        maxBackoff: Duration = .seconds(2)
    ) {
        precondition(maxConnections > 0, "a pool needs room for at least one connection")
        self.maxConnections = maxConnections
        self.minIdle = min(minIdle, maxConnections)
        self.maxWaiters = maxWaiters
        self.acquireTimeout = acquireTimeout
        self.keepAliveInterval = keepAliveInterval
        self.idleTimeout = idleTimeout
        self.minBackoff = minBackoff
        self.maxBackoff = maxBackoff
    }

    /// The pause before connecting again after `failures` failures in a row, between half of the exponential step
    /// and all of it, so that many instances do not return to a restarted server in the same instant.
    ///
    /// - Parameter jitter: from 0 up to 1, drawn by the caller: the state machine is deterministic.
    func backoff(failures: Int, jitter: Double) -> Duration {
        var step = minBackoff
        for _ in 1..<max(1, min(failures, 16)) where step < maxBackoff { step *= 2 }
        step = min(step, maxBackoff)
        return step / 2 + step / 2 * min(max(jitter, 0), 1)
    }
}
