import Logging
import NIOCore
import Synchronization

/// Commands to one server, or to whichever its topology names now: pipelined on a few connections that mend themselves.
///
/// It may be used before ``run()`` and while the server is away: a request waits for a connection until its deadline and
/// then fails, retryable, with ``RedisError/mayHaveRun`` false.
///
/// Bounds: 1,024 commands in flight per connection, 4,096 requests that wait; past both a request fails at once.
final class NodePool: Sendable {
    private struct State {
        var dispatch: Dispatch<RedisRequest, CommandConnection>
        /// When the line's timer will ring; never without one who waits.
        var timerDeadline: NIODeadline?
        /// The replication id of the server that was connected to last.
        var replicationID: String?
    }

    /// What a pool tells its owner; called on any thread.
    struct Events: Sendable {
        /// The server connected to has another replication id than the one before, or is the first. Told before any command
        /// is sent to it, under the pool's lock: must not block, nor ask the pool for anything.
        var replicationChanged: @Sendable () -> Void = {}
        /// No connection could be made, or one was lost.
        var troubled: @Sendable () -> Void = {}
    }

    let configuration: RedisConfiguration
    private let logger: Logger
    private let loops: [any EventLoop]
    private let connector: RedisConnector
    private let metrics: RedisMetrics
    private let events: Events
    private let state: Mutex<State>

    /// - Parameter loops: one for each connection.
    init(
        connector: RedisConnector,
        loops: [any EventLoop],
        metrics: RedisMetrics,
        logger: Logger,
        events: Events = Events()
    ) {
        precondition(!loops.isEmpty, "a Redis client needs at least one connection")
        configuration = connector.configuration
        self.connector = connector
        self.loops = loops
        self.metrics = metrics
        self.logger = logger
        self.events = events
        state = Mutex(
            State(
                dispatch: Dispatch(
                    slots: loops.count,
                    maxInFlight: configuration.maxInFlight,
                    maxWaiting: configuration.maxWaiting
                )
            )
        )
    }

    // MARK: Commands

    /// Sends commands as one pipeline on one connection, in order, and returns one reply for each.
    ///
    /// - Throws: ``RedisError`` when any reply is missing; error replies are returned as values.
    func send(_ commands: [RedisCommand], deadline: NIODeadline) async throws(RedisError) -> [RESPValue] {
        let request = RedisRequest(
            bytes: try CommandFormatter.format(commands),
            count: commands.count,
            deadline: deadline
        )
        return try await outcome(of: request).get()
    }

    /// - Parameter isolation: the caller's. The closure that waits belongs to it; otherwise every command of an actor
    ///   would wake a thread of the pool on its way out and again on its way back.
    private func outcome(
        of request: RedisRequest,
        isolation: isolated (any Actor)? = #isolation
    ) async -> RedisRequest.Outcome {
        await withTaskCancellationHandler {
            _ = isolation
            submit(request)
            return await request.outcome()
        } onCancel: {
            let isFirst = request.fail { RedisError(.cancelled, "the command was cancelled", mayHaveRun: $0) }
            if isFirst { metrics.ended(.cancelled, request.count) }
        }
    }

    private func submit(_ request: RedisRequest) {
        // A connection may close between the choice and the hand-over; its room is gone with it, so choose again.
        while true {
            let decision = state.withLock { state in
                state.dispatch.submit(request, count: request.count, deadline: request.deadline, hasEnded: \.hasEnded)
            }
            switch decision {
            case .assign(let connection):
                if connection.submit(request) { return }
            case .wait:
                armTimer(request.deadline)
                return
            case .overloaded:
                refuse(request) {
                    RedisError(.overloaded, "\(configuration.maxWaiting) requests wait for a connection already")
                }
                return
            case .refuse(let error):
                refuse(request) { error }
                return
            }
        }
    }

    private func refuse(_ request: RedisRequest, _ error: () -> RedisError) {
        if request.fail({ error().with(mayHaveRun: $0) }) { metrics.ended(.refused, request.count) }
    }

    private func hand(_ admitted: [(RedisRequest, CommandConnection)]) {
        for (request, connection) in admitted where !connection.submit(request) { submit(request) }
    }

    // MARK: Those who wait

    private func armTimer(_ deadline: NIODeadline) {
        let isNeeded = state.withLock { state in
            if let current = state.timerDeadline, current <= deadline { return false }
            state.timerDeadline = deadline
            return true
        }
        // An earlier timer that is overtaken rings once for nothing; that is cheaper than keeping count of it.
        if isNeeded { loops[0].scheduleTask(deadline: deadline) { self.expireWaiters() } }
    }

    private func expireWaiters() {
        let now = NIODeadline.now()
        let (overdue, next, cause) = state.withLock { state in
            let (overdue, next) = state.dispatch.expire(now: now)
            state.timerDeadline = nil
            return (overdue, next, state.dispatch.lastFailure)
        }
        for request in overdue {
            refuse(request) {
                RedisError(.unavailable, "no connection to Redis had room before the deadline", underlying: cause)
            }
        }
        if let next { armTimer(next) }
    }

    // MARK: Life

    /// Keeps the connections up; returns on cancellation or ``shutDown()``, after those in flight have ended.
    func run() async {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for slot in self.loops.indices { group.addTask { await self.maintain(slot) } }
            }
        } onCancel: {
            self.shutDown()
        }
        shutDown()
    }

    private var isShutDown: Bool { state.withLock { $0.dispatch.isShutDown } }

    /// The primary is at `endpoint` now: connections to any other go, and are made anew.
    ///
    /// What is in flight there has a moment to be answered. A server that was given up may be frozen, and would keep its
    /// connections for the whole of a command's deadline.
    func moved(to endpoint: RedisEndpoint) {
        let connections = state.withLock { $0.dispatch.connections }
        for connection in connections where connection.endpoint != endpoint {
            connection.close(within: .milliseconds(100))
        }
    }

    /// Refuses what comes and what waits, and closes the connections when those in flight have ended.
    func shutDown() {
        let (waiting, connections) = state.withLock { $0.dispatch.shutDown() }
        for request in waiting {
            refuse(request) { RedisError(.shutDown, "the Redis client was closed before the command was sent") }
        }
        for connection in connections { connection.close(within: TimeAmount(configuration.commandTimeout)) }
    }

    /// Connects, waits for the end of the connection, and again; until the task is cancelled.
    private func maintain(_ slot: Int) async {
        var backoff = Backoff(configuration.reconnectDelay)
        while !Task.isCancelled && !isShutDown {
            do {
                let connection = try await connect(slot)
                backoff.succeed()
                logger.debug("redis connected", metadata: ["redis.connection": "\(slot)"])
                try? await connection.closed.get()
                metrics.reconnecting()
                if Task.isCancelled || isShutDown { return }
                events.troubled()
                // Also after a success: a server that accepts and then hangs up must not be asked in a tight loop.
                try? await Task.sleep(for: backoff.fail(chance: .random(in: 0..<1)))
            } catch {
                logger.debug(
                    "redis connection failed",
                    metadata: ["redis.connection": "\(slot)", "error": "\(error)"]
                )
                events.troubled()
                let told = state.withLock { $0.dispatch.failed(error) }
                for request in told { refuse(request) { error } }
                let isRefused = error.code == .authentication || error.code == .invalidConfiguration
                let pause = isRefused ? configuration.refusedDelay : backoff.fail(chance: .random(in: 0..<1))
                try? await Task.sleep(for: pause)
            }
        }
    }

    private func connect(_ slot: Int) async throws(RedisError) -> CommandConnection {
        var limits = RESPReader.Limits()
        limits.maxReplyBytes = configuration.maxReplyBytes
        let connected = try await connector.connect(on: loops[slot], limits: limits)
        let stall = TimeAmount(configuration.commandTimeout)
        state.withLock { state in
            guard let id = connected.replicationID, id != state.replicationID else { return }
            state.replicationID = id
            events.replicationChanged()
        }
        do {
            return try await loops[slot].submit {
                let connection = CommandConnection(connected, slot: slot, stall: stall, owner: self)
                // Known to the dispatch before it can end: the end takes the slot back.
                let (admitted, isShutDown) = self.state.withLock { state in
                    (state.dispatch.connected(slot, connection, hasEnded: \.hasEnded), state.dispatch.isShutDown)
                }
                connection.start(connected)
                self.hand(admitted)
                if isShutDown { connection.close(within: .zero) }
                return connection
            }.get()
        } catch {
            throw RedisError(.connection, "the event loop is closed", underlying: error)
        }
    }
}

extension NodePool: CommandConnectionOwner {
    func released(_ slot: Int, _ count: Int) {
        let (admitted, inFlight) = state.withLock { state in
            (state.dispatch.release(slot, count, hasEnded: \.hasEnded), state.dispatch.inFlightCount)
        }
        metrics.recordInFlight(inFlight)
        hand(admitted)
    }

    func closing(_ slot: Int) {
        state.withLock { $0.dispatch.lost(slot) }
    }

    func disconnected(_ slot: Int, unwritten: [RedisRequest]) {
        state.withLock { $0.dispatch.lost(slot) }
        for request in unwritten { submit(request) }
    }

    func ended(_ outcome: RedisMetrics.Outcome, _ count: Int) {
        metrics.ended(outcome, count)
    }
}
