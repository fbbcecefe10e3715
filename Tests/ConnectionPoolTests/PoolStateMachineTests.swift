import ConnectionPool
import Testing

@Suite("The pool's decisions, with the clock in our hand")
struct PoolStateMachineTests {
    private typealias Instant = ContinuousClock.Instant

    private let start = Instant.now

    private func machine(
        maxConnections: Int = 2,
        minIdle: Int = 1,
        maxWaiters: Int = 3
    ) -> PoolStateMachine {
        PoolStateMachine(
            configuration: PoolConfiguration(
                maxConnections: maxConnections,
                minIdle: minIdle,
                maxWaiters: maxWaiters,
                acquireTimeout: .seconds(2),
                keepAliveInterval: .seconds(30),
                idleTimeout: .seconds(120),
                minBackoff: .milliseconds(100),
                maxBackoff: .seconds(1)
            )
        )
    }

    private func waiter(_ number: UInt64) -> PoolWaiterID { PoolWaiterID(number) }

    /// Leases once through a new connection.
    private func open(_ pool: inout PoolStateMachine, waiter number: UInt64, now: Instant) throws -> PoolConnectionID {
        guard case .connect(let id)? = pool.lease(waiter(number), now: now).first else {
            throw Unexpected()
        }
        #expect(pool.connected(id, now: now) == [.grant(waiter(number), id)])
        return id
    }

    private struct Unexpected: Error {}

    @Test("The first caller gets the connection that is opened for it")
    func firstLease() throws {
        var pool = machine()
        let id = try open(&pool, waiter: 1, now: start)
        #expect(pool.counts == PoolCounts(leased: 1))
        #expect(pool.release(id, isReusable: true, now: start).isEmpty)
        #expect(pool.counts == PoolCounts(idle: 1))
        #expect(pool.leaseIdle() == id)
    }

    @Test("No more connections are opened than the limit, and callers are served in order of arrival")
    func limit() throws {
        var pool = machine()
        let first = try open(&pool, waiter: 1, now: start)
        let second = try open(&pool, waiter: 2, now: start)
        #expect(pool.lease(waiter(3), now: start).isEmpty)
        #expect(pool.lease(waiter(4), now: start).isEmpty)
        #expect(pool.release(second, isReusable: true, now: start) == [.grant(waiter(3), second)])
        #expect(pool.release(first, isReusable: true, now: start) == [.grant(waiter(4), first)])
    }

    @Test("One caller too many is refused at once")
    func tooManyWaiters() throws {
        var pool = machine(maxConnections: 1)
        _ = try open(&pool, waiter: 1, now: start)
        for number: UInt64 in 2...4 { #expect(pool.lease(waiter(number), now: start).isEmpty) }
        #expect(pool.lease(waiter(5), now: start) == [.refuse(waiter(5), .tooManyWaiters)])
        #expect(pool.counts.waiting == 3)
    }

    @Test("A caller's patience ends exactly at its deadline")
    func patience() throws {
        var pool = machine(maxConnections: 1)
        _ = try open(&pool, waiter: 1, now: start)
        _ = pool.lease(waiter(2), now: start)
        #expect(pool.tick(now: start + .milliseconds(1_999)).isEmpty)
        #expect(pool.tick(now: start + .seconds(2)) == [.refuse(waiter(2), .timedOut)])
        #expect(pool.tick(now: start + .seconds(3)).isEmpty)
    }

    @Test("A caller that gave up is forgotten, and the next one is served")
    func cancelled() throws {
        var pool = machine(maxConnections: 1)
        let id = try open(&pool, waiter: 1, now: start)
        _ = pool.lease(waiter(2), now: start)
        _ = pool.lease(waiter(3), now: start)
        #expect(pool.cancel(waiter(2)) == [.refuse(waiter(2), .cancelled)])
        #expect(pool.cancel(waiter(2)).isEmpty)
        #expect(pool.release(id, isReusable: true, now: start) == [.grant(waiter(3), id)])
    }

    @Test("A connection in an unknown state is closed, and another is opened for whoever waits")
    func unknownState() throws {
        var pool = machine(maxConnections: 1)
        let id = try open(&pool, waiter: 1, now: start)
        _ = pool.lease(waiter(2), now: start)
        let actions = pool.release(id, isReusable: false, now: start)
        #expect(actions.first == .close(id))
        guard case .connect(let other) = actions.last else { throw Unexpected() }
        #expect(other != id)
        #expect(pool.connected(other, now: start) == [.grant(waiter(2), other)])
    }

    @Test("A connection is returned once; a second return changes nothing")
    func doubleRelease() throws {
        var pool = machine()
        let id = try open(&pool, waiter: 1, now: start)
        _ = pool.release(id, isReusable: true, now: start)
        #expect(pool.release(id, isReusable: true, now: start).isEmpty)
        #expect(pool.counts == PoolCounts(idle: 1))
    }

    @Test("Failures to connect are followed by growing pauses, one attempt at a time, until one succeeds")
    func backoff() throws {
        var pool = machine()
        guard case .connect(let first)? = pool.lease(waiter(1), now: start).first,
            case .connect(let second)? = pool.lease(waiter(2), now: start).first
        else { throw Unexpected() }
        let retry = start + .milliseconds(100)
        #expect(pool.connectFailed(first, now: start, jitter: 1) == [.wake(at: retry)])
        let later = start + .milliseconds(200)
        #expect(pool.connectFailed(second, now: start, jitter: 1) == [.wake(at: later)])
        #expect(pool.tick(now: retry) == [.wake(at: later)])
        guard case .connect(let third)? = pool.tick(now: later).first else { throw Unexpected() }
        #expect(pool.tick(now: later).isEmpty)
        let actions = pool.connected(third, now: later)
        #expect(actions.first == .grant(waiter(1), third))
        guard case .connect = actions.last, actions.count == 2 else { throw Unexpected() }
    }

    @Test("The pause between attempts never exceeds its bound, and jitter takes at most half of it")
    func backoffBounds() throws {
        var pool = machine()
        var now = start
        var number: UInt64 = 1
        guard case .connect(var id)? = pool.lease(waiter(number), now: now).first else { throw Unexpected() }
        for failure in 1...20 {
            let jitter = failure.isMultiple(of: 2) ? 1.0 : 0.0
            guard case .wake(let retry)? = pool.connectFailed(id, now: now, jitter: jitter).last else {
                throw Unexpected()
            }
            let pause = now.duration(to: retry)
            #expect(pause <= .seconds(1))
            #expect(pause >= .milliseconds(50))
            if failure > 4 { #expect(pause == (jitter == 1 ? .seconds(1) : .milliseconds(500))) }
            now = retry
            // Patience is 2 s here, so somebody new may be needed for the pool to try at all.
            number += 1
            _ = pool.cancel(waiter(number - 1))
            guard case .connect(let next)? = pool.lease(waiter(number), now: now).last else { throw Unexpected() }
            id = next
        }
    }

    @Test("An idle connection is asked whether it lives, and a dead one is closed")
    func keepAlive() throws {
        var pool = machine()
        let id = try open(&pool, waiter: 1, now: start)
        _ = pool.release(id, isReusable: true, now: start)
        #expect(pool.tick(now: start + .seconds(29)).isEmpty)
        #expect(pool.tick(now: start + .seconds(30)) == [.check(id)])
        #expect(pool.leaseIdle() == nil)
        #expect(pool.checked(id, isAlive: true, now: start + .seconds(30)).isEmpty)
        #expect(pool.tick(now: start + .seconds(59)).isEmpty)
        #expect(pool.tick(now: start + .seconds(60)) == [.check(id)])
        #expect(pool.checked(id, isAlive: false, now: start + .seconds(60)) == [.close(id)])
        #expect(pool.counts == PoolCounts())
    }

    @Test("Connections nobody needed for long are closed down to the minimum, checks notwithstanding")
    func idleTimeout() throws {
        var pool = machine()
        let first = try open(&pool, waiter: 1, now: start)
        let second = try open(&pool, waiter: 2, now: start)
        _ = pool.release(first, isReusable: true, now: start)
        _ = pool.release(second, isReusable: true, now: start)
        for seconds in stride(from: 30, through: 90, by: 30) {
            let now = start + .seconds(seconds)
            #expect(Set(pool.tick(now: now).map(String.init(describing:))).count == 2)
            _ = pool.checked(first, isAlive: true, now: now)
            _ = pool.checked(second, isAlive: true, now: now)
        }
        let actions = pool.tick(now: start + .seconds(120))
        #expect(actions == [.close(first), .check(second)])
    }

    @Test("Closing refuses who waits, closes what is idle, and ends when the last lease returns")
    func closing() throws {
        var pool = machine()
        let first = try open(&pool, waiter: 1, now: start)
        let second = try open(&pool, waiter: 2, now: start)
        _ = pool.release(first, isReusable: true, now: start)
        #expect(pool.close() == [.close(first)])
        #expect(pool.close().isEmpty)
        #expect(pool.lease(waiter(3), now: start) == [.refuse(waiter(3), .closed)])
        #expect(pool.release(second, isReusable: true, now: start) == [.close(second), .finished])
    }

    @Test("A connection that was still being opened at the close is closed as soon as it is there")
    func closingWhileConnecting() throws {
        var pool = machine()
        guard case .connect(let id)? = pool.lease(waiter(1), now: start).first else { throw Unexpected() }
        #expect(pool.close() == [.refuse(waiter(1), .closed)])
        #expect(pool.connected(id, now: start) == [.close(id), .finished])
    }
}
