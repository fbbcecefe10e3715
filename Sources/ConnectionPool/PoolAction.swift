/// Names one connection of a pool for as long as it lives; never used again after.
package struct PoolConnectionID: Hashable, Sendable {
    package let number: UInt64
}

/// Names one caller that waits for a lease. The pool's owner hands the numbers out.
package struct PoolWaiterID: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }
}

/// Why a caller got no lease.
package enum PoolRefusal: Equatable, Sendable {
    /// ``PoolConfiguration/maxWaiters`` callers wait already.
    case tooManyWaiters
    /// No connection came free within ``PoolConfiguration/acquireTimeout``.
    case timedOut
    /// The caller's task was cancelled.
    case cancelled
    /// The pool is closing.
    case closed
}

/// What the owner of a ``PoolStateMachine`` must do next, in the order given.
package enum PoolAction: Equatable, Sendable {
    /// Hand the connection to the caller.
    case grant(PoolWaiterID, PoolConnectionID)
    /// Tell the caller that it gets none.
    case refuse(PoolWaiterID, PoolRefusal)
    /// Open a connection, then report `connected` or `connectFailed`.
    case connect(PoolConnectionID)
    /// Ask the connection whether it lives, then report `checked`.
    case check(PoolConnectionID)
    /// Close the connection and forget it.
    case close(PoolConnectionID)
    /// Call `tick` at this instant.
    case wake(at: ContinuousClock.Instant)
    /// The pool is closed and owns no connection any more.
    case finished
}

/// How a pool is filled at one moment.
package struct PoolCounts: Equatable, Sendable {
    package var connecting = 0
    package var idle = 0
    package var leased = 0
    package var waiting = 0

    package init(connecting: Int = 0, idle: Int = 0, leased: Int = 0, waiting: Int = 0) {
        self.connecting = connecting
        self.idle = idle
        self.leased = leased
        self.waiting = waiting
    }
}
