import DequeModule

/// Decides who gets which connection, and when connections are opened, checked and closed.
///
/// It performs no I/O, reads no clock and draws no random numbers: the owner passes `now` and `jitter` in, performs the
/// returned actions after leaving its lock, and reports what came of them. One kind of store or another makes no
/// difference here.
///
/// Callers are served in order of arrival. Idle connections are served newest first, so that the oldest ones stay
/// idle and can be closed when traffic falls. A connection whose opening failed is not tried again before the backoff
/// has passed; callers keep waiting meanwhile, because a restarting server may return within their patience.
///
/// - Bounds: ``PoolConfiguration/maxConnections`` connections, ``PoolConfiguration/maxWaiters`` waiting callers. At
///   the second bound a caller is refused at once.
package struct PoolStateMachine: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private enum Slot: Sendable {
        case connecting
        /// `checkedAt` is when the connection last proved alive, `usedAt` when it was last leased.
        case idle(usedAt: Instant, checkedAt: Instant)
        case checking(usedAt: Instant)
        case leased
    }

    private struct Waiter: Sendable {
        let id: PoolWaiterID
        let deadline: Instant
    }

    private let configuration: PoolConfiguration
    private var slots: [PoolConnectionID: Slot] = [:]
    /// Idle connections, the last one leased at the end.
    private var idle: [PoolConnectionID] = []
    private var waiters: Deque<Waiter> = []
    private var nextNumber: UInt64 = 0
    private var failures = 0
    private var retryAt: Instant?
    private var isClosing = false

    package init(configuration: PoolConfiguration) {
        self.configuration = configuration
    }

    package var counts: PoolCounts {
        var counts = PoolCounts(waiting: waiters.count)
        for slot in slots.values {
            switch slot {
            case .connecting: counts.connecting += 1
            case .idle, .checking: counts.idle += 1
            case .leased: counts.leased += 1
            }
        }
        return counts
    }

    // MARK: Callers

    /// The fast path: an idle connection, if there is one and nobody came earlier.
    package mutating func leaseIdle() -> PoolConnectionID? {
        guard !isClosing, waiters.isEmpty, let id = idle.popLast() else { return nil }
        slots[id] = .leased
        return id
    }

    /// A caller wants a connection, and will wait until `now` plus the acquire timeout.
    package mutating func lease(_ waiter: PoolWaiterID, now: Instant) -> [PoolAction] {
        guard !isClosing else { return [.refuse(waiter, .closed)] }
        if let id = leaseIdle() { return [.grant(waiter, id)] }
        guard waiters.count < configuration.maxWaiters else { return [.refuse(waiter, .tooManyWaiters)] }
        waiters.append(Waiter(id: waiter, deadline: now + configuration.acquireTimeout))
        return openForWaiters(now: now)
    }

    /// The caller no longer waits. Nothing happens if it was served meanwhile.
    package mutating func cancel(_ waiter: PoolWaiterID) -> [PoolAction] {
        guard let index = waiters.firstIndex(where: { $0.id == waiter }) else { return [] }
        waiters.remove(at: index)
        return [.refuse(waiter, .cancelled)]
    }

    /// A lease ended.
    ///
    /// - Parameter isReusable: whether the connection is known to be healthy and between transactions. One in any
    ///   other state is closed: what the next caller would meet there is unknown.
    package mutating func release(_ id: PoolConnectionID, isReusable: Bool, now: Instant) -> [PoolAction] {
        guard case .leased = slots[id] else { return [] }
        guard isReusable, !isClosing else { return drop(id, now: now) }
        return offer(id, usedAt: now, now: now)
    }

    // MARK: Connections

    package mutating func connected(_ id: PoolConnectionID, now: Instant) -> [PoolAction] {
        guard case .connecting = slots[id] else { return [.close(id)] }
        failures = 0
        retryAt = nil
        guard !isClosing else { return drop(id, now: now) }
        // A success after failures: open at once what the other callers need.
        return offer(id, usedAt: now, now: now) + openForWaiters(now: now)
    }

    package mutating func connectFailed(_ id: PoolConnectionID, now: Instant, jitter: Double) -> [PoolAction] {
        guard case .connecting = slots[id] else { return [] }
        slots[id] = nil
        guard !isClosing else { return finishedIfEmpty() }
        failures += 1
        let retry = now + configuration.backoff(failures: failures, jitter: jitter)
        retryAt = retry
        return waiters.isEmpty ? [] : [.wake(at: retry)]
    }

    /// The answer to a `check` action.
    package mutating func checked(_ id: PoolConnectionID, isAlive: Bool, now: Instant) -> [PoolAction] {
        guard case .checking(let usedAt) = slots[id] else { return [] }
        guard isAlive, !isClosing else { return drop(id, now: now) }
        return offer(id, usedAt: usedAt, now: now)
    }

    // MARK: Time

    /// Refuses callers whose patience ended, opens what they need once the backoff has passed, checks connections that
    /// were idle for long and closes those that nobody needs.
    package mutating func tick(now: Instant) -> [PoolAction] {
        guard !isClosing else { return [] }
        var actions: [PoolAction] = []
        while let first = waiters.first, first.deadline <= now {
            waiters.removeFirst()
            actions.append(.refuse(first.id, .timedOut))
        }
        actions += openForWaiters(now: now)
        var kept: [PoolConnectionID] = []
        var spare = idle.count - configuration.minIdle
        for id in idle {
            guard case .idle(let usedAt, let checkedAt) = slots[id] else { continue }
            if spare > 0, now - usedAt >= configuration.idleTimeout {
                spare -= 1
                slots[id] = nil
                actions.append(.close(id))
            } else if now - checkedAt >= configuration.keepAliveInterval {
                slots[id] = .checking(usedAt: usedAt)
                actions.append(.check(id))
            } else {
                kept.append(id)
            }
        }
        idle = kept
        return actions
    }

    /// Refuses everyone who waits and closes everything idle; leased connections are closed as they return.
    package mutating func close() -> [PoolAction] {
        guard !isClosing else { return [] }
        isClosing = true
        var actions = waiters.map { PoolAction.refuse($0.id, .closed) }
        waiters.removeAll()
        for id in idle {
            slots[id] = nil
            actions.append(.close(id))
        }
        idle.removeAll()
        return actions + finishedIfEmpty()
    }

    // MARK: Steps

    private mutating func offer(_ id: PoolConnectionID, usedAt: Instant, now: Instant) -> [PoolAction] {
        if let waiter = waiters.popFirst() {
            slots[id] = .leased
            return [.grant(waiter.id, id)]
        }
        slots[id] = .idle(usedAt: usedAt, checkedAt: now)
        idle.append(id)
        return []
    }

    private mutating func drop(_ id: PoolConnectionID, now: Instant) -> [PoolAction] {
        slots[id] = nil
        return [.close(id)] + (isClosing ? finishedIfEmpty() : openForWaiters(now: now))
    }

    /// Opens one connection for each waiting caller that none is being opened for, as far as the limit allows.
    private mutating func openForWaiters(now: Instant) -> [PoolAction] {
        guard !waiters.isEmpty else { return [] }
        let connecting = counts.connecting
        var missing = min(waiters.count - connecting, configuration.maxConnections - slots.count)
        guard missing > 0 else { return [] }
        if let retryAt {
            guard retryAt <= now else { return [.wake(at: retryAt)] }
            // After a failure one attempt at a time asks whether the server is back.
            guard connecting == 0 else { return [] }
            missing = 1
        }
        return (0..<missing).map { _ in
            let id = PoolConnectionID(number: nextNumber)
            nextNumber += 1
            slots[id] = .connecting
            return .connect(id)
        }
    }

    private func finishedIfEmpty() -> [PoolAction] {
        slots.isEmpty ? [.finished] : []
    }
}
