import ConnectionPool
import Logging
import ServiceLifecycle
import Synchronization

/// Performs what ``PoolStateMachine`` decides: opens, checks and closes connections, and wakes those who wait for one.
final class PostgresPool: Sendable {
    struct Lease: Sendable {
        let id: PoolConnectionID
        let connection: PostgresConnection
    }

    private enum Work: Sendable {
        case connect(PoolConnectionID)
        case check(PoolConnectionID, PostgresConnection)
        case wake(at: ContinuousClock.Instant)
    }

    private typealias Answer = Result<Lease, PostgresError>

    private struct State {
        var machine: PoolStateMachine
        var connections: [PoolConnectionID: PostgresConnection] = [:]
        var waiting: [PoolWaiterID: CheckedContinuation<Answer, Never>] = [:]
        var nextWaiter: UInt64 = 0
        /// Why connecting failed last, to tell callers whose patience ended meanwhile.
        var lastFailure: PostgresError?
    }

    private let configuration: PostgresConfiguration
    private let logger: Logger
    private let metrics: PostgresMetrics
    private let state: Mutex<State>
    private let work: AsyncStream<Work>
    private let workContinuation: AsyncStream<Work>.Continuation

    init(configuration: PostgresConfiguration, logger: Logger, metrics: PostgresMetrics) {
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        let pool = PoolConfiguration(
            maxConnections: configuration.poolSize,
            maxWaiters: configuration.maxWaiters,
            acquireTimeout: configuration.acquireTimeout
        )
        state = Mutex(State(machine: PoolStateMachine(configuration: pool)))
        // Bounded by the machine: per connection one attempt or check, and per attempt or caller one wake-up.
        (work, workContinuation) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    // MARK: Leases

    func lease() async throws(PostgresError) -> Lease {
        let ready = state.withLock { state -> Lease? in
            guard let id = state.machine.leaseIdle(), let connection = state.connections[id] else { return nil }
            return Lease(id: id, connection: connection)
        }
        if let ready {
            report()
            return ready
        }
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            return PoolWaiterID(state.nextWaiter)
        }
        let patience = configuration.acquireTimeout
        // Ends with this scope at the latest; a caller's patience must not depend on anybody running the pool.
        async let _ = expire(after: patience)
        let answer = await wait(waiter)
        return try answer.get()
    }

    func release(_ lease: Lease) {
        let isReusable = lease.connection.isReusable
        change { $0.release(lease.id, isReusable: isReusable, now: .now) }
    }

    private func wait(_ waiter: PoolWaiterID) async -> Answer {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                change { state in
                    // Looked at under the lock that `cancel` takes: one of the two sees the other.
                    guard !Task.isCancelled else { return [.refuse(waiter, .cancelled)] }
                    return state.lease(waiter, now: .now)
                } registering: { state in
                    state.waiting[waiter] = continuation
                }
            }
        } onCancel: {
            change { $0.cancel(waiter) }
        }
    }

    private func expire(after patience: Duration) async {
        guard (try? await Task.sleep(for: patience)) != nil else { return }
        change { $0.tick(now: .now) }
    }

    // MARK: Running

    /// Opens, checks and closes connections until shutdown or cancellation, and returns once every lease came back.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepHouse() }
            group.addTask {
                // Returns at graceful shutdown, throws at cancellation: the end of the pool either way.
                try? await gracefulShutdown()
                self.change { $0.close() }
            }
            for await item in work {
                group.addTask { await self.perform(item) }
            }
            group.cancelAll()
        }
        change { $0.close() }
    }

    private func keepHouse() async {
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            change { $0.tick(now: .now) }
        }
    }

    private func perform(_ item: Work) async {
        switch item {
        case .connect(let id):
            await connect(id)
        case .check(let id, let connection):
            let isAlive = await connection.isAlive()
            change { $0.checked(id, isAlive: isAlive, now: .now) }
        case .wake(let instant):
            guard (try? await Task.sleep(until: instant)) != nil else { return }
            change { $0.tick(now: .now) }
        }
    }

    private func connect(_ id: PoolConnectionID) async {
        do throws(PostgresError) {
            let connection = try await PostgresConnection.connect(configuration: configuration, logger: logger)
            change {
                $0.connected(id, now: .now)
            } registering: { state in
                state.connections[id] = connection
                state.lastFailure = nil
            }
        } catch {
            logger.debug("postgres connection failed", metadata: ["postgres.error": "\(error)"])
            let jitter = Double.random(in: 0..<1)
            change {
                $0.connectFailed(id, now: .now, jitter: jitter)
            } registering: { state in
                state.lastFailure = error
            }
        }
    }

    // MARK: Actions

    /// Feeds one event to the machine and performs its answer, waking callers after the lock is left.
    private func change(
        _ event: (inout PoolStateMachine) -> [PoolAction],
        registering: (inout State) -> Void = { _ in }
    ) {
        var wakeups: [(CheckedContinuation<Answer, Never>, Answer)] = []
        // Closing a socket is work for after the lock too; the last reference does it.
        var closed: [PostgresConnection] = []
        state.withLock { state in
            registering(&state)
            for action in event(&state.machine) {
                switch action {
                case .grant(let waiter, let id):
                    guard let continuation = state.waiting.removeValue(forKey: waiter),
                        let connection = state.connections[id]
                    else { preconditionFailure("pool: a lease for nobody, or of nothing") }
                    wakeups.append((continuation, .success(Lease(id: id, connection: connection))))
                case .refuse(let waiter, let refusal):
                    guard let continuation = state.waiting.removeValue(forKey: waiter) else { continue }
                    wakeups.append((continuation, .failure(error(for: refusal, state))))
                case .connect(let id):
                    workContinuation.yield(.connect(id))
                case .check(let id):
                    if let connection = state.connections[id] { workContinuation.yield(.check(id, connection)) }
                case .close(let id):
                    if let connection = state.connections.removeValue(forKey: id) { closed.append(connection) }
                case .wake(let instant):
                    workContinuation.yield(.wake(at: instant))
                case .finished:
                    workContinuation.finish()
                }
            }
        }
        closed.removeAll()
        for (continuation, answer) in wakeups { continuation.resume(returning: answer) }
        report()
    }

    private func report() {
        let counts = state.withLock { $0.machine.counts }
        metrics.pool(leased: counts.leased, waiting: counts.waiting)
    }

    private func error(for refusal: PoolRefusal, _ state: State) -> PostgresError {
        let counts = state.machine.counts
        let fill = "(\(counts.leased) leased, \(counts.waiting) waiting)"
        switch refusal {
        case .tooManyWaiters:
            return PostgresError(
                .poolExhausted,
                "pool: \(configuration.maxWaiters) callers wait already",
                isRetryable: true
            )
        case .timedOut:
            return PostgresError(
                .acquireTimeout,
                "pool: no connection within \(configuration.acquireTimeout) \(fill)",
                isRetryable: true,
                underlying: state.lastFailure
            )
        case .cancelled:
            return PostgresError(.cancelled, "pool: cancelled with its caller")
        case .closed:
            return PostgresError(.closed, "pool: closed")
        }
    }
}
