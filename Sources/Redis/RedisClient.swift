package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// A client of one Redis: commands, pipelined on a few connections that mend themselves.
///
/// It may be used before ``run()`` and while Redis is away: a command waits for a connection until its deadline and then
/// fails, retryable, with ``RedisError/mayHaveRun`` false. Callers choose no connection, so nothing that belongs to one
/// (`SELECT`, `SUBSCRIBE`, `WATCH`, `MULTI` across calls) may be sent; `MULTI … EXEC` within one pipeline may.
///
/// Bounds: 1,024 commands in flight per connection, 4,096 requests that wait; past both a request fails at once.
package final class RedisClient: Service, Sendable {
    private struct State {
        var dispatch: Dispatch<RedisRequest, CommandConnection>
        /// When the line's timer will ring; never without one who waits.
        var timerDeadline: NIODeadline?
    }

    package let configuration: RedisConfiguration
    let logger: Logger
    private let loops: [any EventLoop]
    private let connector: RedisConnector
    private let metrics = RedisMetrics()
    private let state: Mutex<State>

    /// One of the loops that the connections live on.
    package var eventLoop: any EventLoop { loops[0] }

    package init(configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        precondition(configuration.connectionCount > 0, "a Redis client needs at least one connection")
        self.configuration = configuration
        self.logger = logger
        connector = RedisConnector(configuration)
        loops = (0..<configuration.connectionCount).map { _ in eventLoopGroup.next() }
        state = Mutex(
            State(
                dispatch: Dispatch(
                    slots: configuration.connectionCount,
                    maxInFlight: configuration.maxInFlight,
                    maxWaiting: configuration.maxWaiting
                )
            )
        )
    }

    // MARK: Commands

    /// Sends one command and returns its reply.
    ///
    /// - Parameter timeout: for the whole call, waiting included; nil means the configuration's `commandTimeout`.
    /// - Throws: ``RedisError``; an error reply is ``RedisError/Code/server``.
    package func send(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RESPValue {
        let reply = try await send([command], timeout: timeout)[0]
        if let failure = reply.failure { throw failure }
        return reply
    }

    /// Sends commands as one pipeline on one connection, in order, and returns one reply for each.
    ///
    /// - Bounds: at most `maxInFlight` (1,024) commands.
    /// - Throws: ``RedisError`` when any reply is missing; error replies are returned as values.
    package func send(_ commands: [RedisCommand], timeout: Duration? = nil) async throws(RedisError) -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        guard commands.count <= configuration.maxInFlight else {
            let message = "a pipeline of \(commands.count) commands; the limit is \(configuration.maxInFlight)"
            throw RedisError(.invalidRequest, message)
        }
        let request = RedisRequest(
            bytes: try CommandFormatter.format(commands),
            count: commands.count,
            deadline: .now() + TimeAmount(timeout ?? configuration.commandTimeout)
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

    /// Keeps the connections up; returns on graceful shutdown or cancellation, after those in flight have ended.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskCancellationHandler {
                await withDiscardingTaskGroup { group in
                    for slot in self.loops.indices { group.addTask { await self.maintain(slot) } }
                }
            } onCancel: {
                self.shutDown()
            }
        }
        shutDown()
    }

    private func shutDown() {
        let (waiting, connections) = state.withLock { $0.dispatch.shutDown() }
        for request in waiting {
            refuse(request) { RedisError(.shutDown, "the Redis client was closed before the command was sent") }
        }
        for connection in connections { connection.close(within: TimeAmount(configuration.commandTimeout)) }
    }

    /// Connects, waits for the end of the connection, and again; until the task is cancelled.
    private func maintain(_ slot: Int) async {
        var backoff = Backoff(configuration.reconnectDelay)
        while !Task.isCancelled {
            do {
                let connection = try await connect(slot)
                backoff.succeed()
                logger.debug("redis connected", metadata: ["redis.connection": "\(slot)"])
                try? await connection.closed.get()
                metrics.reconnecting()
                if Task.isCancelled { return }
                // Also after a success: a server that accepts and then hangs up must not be asked in a tight loop.
                try? await Task.sleep(for: backoff.fail(chance: .random(in: 0..<1)))
            } catch {
                logger.debug(
                    "redis connection failed",
                    metadata: ["redis.connection": "\(slot)", "error": "\(error)"]
                )
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

extension RedisClient: CommandConnectionOwner {
    func released(_ slot: Int, _ count: Int) {
        let (admitted, inFlight) = state.withLock { state in
            (state.dispatch.release(slot, count, hasEnded: \.hasEnded), state.dispatch.inFlightCount)
        }
        metrics.recordInFlight(inFlight)
        hand(admitted)
    }

    func disconnected(_ slot: Int, unwritten: [RedisRequest]) {
        state.withLock { $0.dispatch.lost(slot) }
        for request in unwritten { submit(request) }
    }

    func ended(_ outcome: RedisMetrics.Outcome, _ count: Int) {
        metrics.ended(outcome, count)
    }
}
