package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// Listens to Pub/Sub channels on a connection of its own, and keeps listening when that connection is lost.
///
/// Pub/Sub promises nothing: what was published while the connection was down is gone. After every reconnect, once Redis
/// has confirmed all channels again, ``onReconnect(_:)`` tells those who must look elsewhere for what they missed.
///
/// Handlers run on the connection's event loop in order of arrival and must not block. There is no queue of messages:
/// one that no handler takes is dropped, and TCP holds Redis back while handlers run. A message longer than
/// `maxMessageBytes` closes the connection, which is then made anew.
package final class RedisSubscriber: Service, Sendable {
    package typealias Handler = @Sendable (ByteBuffer) -> Void

    struct State {
        var subscriptions = Subscriptions<Handler, SubscriptionWaiter>()
        var connection: NIOLoopBound<SubscriberConnection>?
        var reconnectHandlers: [@Sendable () -> Void] = []
        var isShutDown = false
        var refusal: RedisError?
        var lastFailure: RedisError?
    }

    let configuration: RedisConfiguration
    private let logger: Logger
    private let loop: any EventLoop
    private let connector: RedisConnector
    private let metrics = RedisMetrics()
    private let state = Mutex(State())

    package init(configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        loop = eventLoopGroup.next()
        connector = RedisConnector(configuration)
    }

    // MARK: Channels

    /// Listens to a channel; returns when Redis has confirmed it. A later handler replaces an earlier one.
    ///
    /// - Throws: ``RedisError`` when Redis refuses the channel, or did not confirm it within `commandTimeout`; after the
    ///   latter the channel stays wanted and is subscribed to as soon as Redis is back, unless ``unsubscribe(_:)`` says
    ///   otherwise.
    package func subscribe(_ channel: String, onMessage: @escaping Handler) async throws(RedisError) {
        let waiter = SubscriptionWaiter()
        let deadline = NIODeadline.now() + TimeAmount(configuration.commandTimeout)
        let outcome = await withTaskCancellationHandler {
            loop.execute { self.begin(channel, onMessage, waiter) }
            let timer = loop.scheduleTask(deadline: deadline) { self.giveUp(waiter) }
            defer { timer.cancel() }
            return await waiter.outcome()
        } onCancel: {
            waiter.finish(.failure(RedisError(.cancelled, "the subscription was cancelled", mayHaveRun: true)))
        }
        // The channel stays; only the one who waited is forgotten.
        if case .failure = outcome {
            _ = state.withLock { $0.subscriptions.removeWaiters(channel) { $0 === waiter } }
        }
        try outcome.get()
    }

    private func begin(_ channel: String, _ handler: @escaping Handler, _ waiter: SubscriptionWaiter) {
        let (request, connection, refusal) = state.withLock { state in
            let refusal =
                state.isShutDown ? RedisError(.shutDown, "the Redis subscriber is closed") : state.refusal
            guard refusal == nil else {
                return (Subscriptions<Handler, SubscriptionWaiter>.Request.wait, state.connection, refusal)
            }
            return (state.subscriptions.subscribe(channel, handler, waiter), state.connection, nil)
        }
        if let refusal {
            waiter.finish(.failure(refusal))
            return
        }
        switch request {
        case .send: connection?.value.send("SUBSCRIBE", [channel])
        case .confirmed: waiter.finish(.success(()))
        case .wait: break
        }
    }

    private func giveUp(_ waiter: SubscriptionWaiter) {
        let cause = state.withLock { $0.lastFailure }
        let message = "Redis did not confirm the subscription before the deadline"
        waiter.finish(.failure(RedisError(.timeout, message, mayHaveRun: true, underlying: cause)))
    }

    /// Stops listening. The handler is not called again once this returns, except on the event loop at this very moment.
    package func unsubscribe(_ channel: String) async {
        let result = try? await loop.submit {
            let (result, connection) = self.state.withLock { state in
                (state.subscriptions.unsubscribe(channel), state.connection)
            }
            if result.mustSend { connection?.value.send("UNSUBSCRIBE", [channel]) }
            return result.waiters
        }.get()
        for waiter in result ?? [] {
            waiter.finish(.failure(RedisError(.cancelled, "the channel was unsubscribed", mayHaveRun: true)))
        }
    }

    /// Calls `body` on the event loop after each lost connection, once every channel is subscribed to again: messages may
    /// have been missed.
    package func onReconnect(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.reconnectHandlers.append(body) }
    }

    // MARK: Life

    /// Keeps the connection up; returns on graceful shutdown or cancellation.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskCancellationHandler {
                await self.maintain()
            } onCancel: {
                self.shutDown()
            }
        }
        shutDown()
    }

    private func shutDown() {
        loop.execute {
            let (waiters, connection) = self.state.withLock { state in
                state.isShutDown = true
                return (state.subscriptions.removeAll(), state.connection)
            }
            let error = RedisError(.shutDown, "the Redis subscriber is closed")
            connection?.value.end(error)
            for waiter in waiters { waiter.finish(.failure(error)) }
        }
    }

    private func maintain() async {
        var backoff = Backoff(configuration.reconnectDelay)
        while !Task.isCancelled {
            do {
                let closed = try await connect()
                backoff.succeed()
                logger.debug("redis subscriber connected")
                try? await closed.get()
                metrics.reconnecting()
                if Task.isCancelled { return }
                try? await Task.sleep(for: backoff.fail(chance: .random(in: 0..<1)))
            } catch {
                logger.debug("redis subscriber connection failed", metadata: ["error": "\(error)"])
                let isRefused = error.code == .authentication || error.code == .invalidConfiguration
                let waiters = state.withLock { state in
                    state.lastFailure = error
                    guard isRefused else { return [SubscriptionWaiter]() }
                    state.refusal = error
                    return state.subscriptions.takeWaiters()
                }
                for waiter in waiters { waiter.finish(.failure(error)) }
                let pause = isRefused ? configuration.refusedDelay : backoff.fail(chance: .random(in: 0..<1))
                try? await Task.sleep(for: pause)
            }
        }
    }

    private func connect() async throws(RedisError) -> EventLoopFuture<Void> {
        var limits = RESPReader.Limits()
        limits.maxReplyBytes = configuration.maxMessageBytes
        let connected = try await connector.connect(on: loop, limits: limits)
        let closed = loop.makePromise(of: Void.self)
        do {
            try await loop.submit {
                let connection = SubscriberConnection(connected.channel, owner: self, closed: closed)
                let (channels, isRestored, isShutDown) = self.state.withLock { state in
                    state.connection = NIOLoopBound(connection, eventLoop: self.loop)
                    (state.refusal, state.lastFailure) = (nil, nil)
                    let (channels, isRestored) = state.subscriptions.connected()
                    return (channels, isRestored, state.isShutDown)
                }
                connected.handler.value.attach(connection)
                connection.start()
                connection.send("SUBSCRIBE", channels)
                if isRestored { self.tellReconnected() }
                if isShutDown { connection.end(RedisError(.shutDown, "the Redis subscriber is closed")) }
            }.get()
        } catch {
            closed.fail(error)
            throw RedisError(.connection, "the event loop is closed", underlying: error)
        }
        return closed.futureResult
    }

    // MARK: On the event loop

    func received(_ message: PubSubMessage) {
        switch message {
        case .message(let channel, let body):
            let handler = state.withLock { $0.subscriptions.handler(channel) }
            handler?(body)
        case .subscribed(let channel):
            let (waiters, isRestored) = state.withLock { $0.subscriptions.confirmed(channel) }
            for waiter in waiters { waiter.finish(.success(())) }
            if isRestored { tellReconnected() }
        case .refused(let serverError):
            let waiters = state.withLock { $0.subscriptions.refused() }
            let error = RedisError(
                .server,
                "Redis refused a subscription: \(serverError.prefix)",
                serverError: serverError
            )
            for waiter in waiters { waiter.finish(.failure(error)) }
        case .unsubscribed, .pong:
            break
        }
    }

    func disconnected() {
        state.withLock { state in
            state.connection = nil
            state.subscriptions.disconnected()
        }
    }

    private func tellReconnected() {
        let handlers = state.withLock { $0.reconnectHandlers }
        for handler in handlers { handler() }
    }
}

/// One who waits for a confirmation; ends once, by whatever is first.
final class SubscriptionWaiter: Sendable {
    typealias Outcome = Result<Void, RedisError>

    private struct State {
        var continuation: CheckedContinuation<Outcome, Never>?
        var outcome: Outcome?
    }

    private let state = Mutex(State())

    func finish(_ outcome: Outcome) {
        let continuation = state.withLock { state in
            guard state.outcome == nil else { return CheckedContinuation<Outcome, Never>?.none }
            state.outcome = outcome
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }

    func outcome() async -> Outcome {
        await withCheckedContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }
}
