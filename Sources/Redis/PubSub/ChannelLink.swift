import Logging
import NIOCore
import Synchronization

/// Channels on one connection, to one server or whichever its topology names now, and again when it is lost.
///
/// Handlers run on the connection's event loop in order of arrival and must not block. There is no queue of messages:
/// one that no handler takes is dropped, and TCP holds Redis back while handlers run. A message longer than
/// `maxMessageBytes` closes the connection, which is then made anew.
final class ChannelLink: Sendable {
    typealias Handler = @Sendable (ByteBuffer) -> Void

    private struct State {
        var subscriptions = Subscriptions<Handler, SubscriptionWaiter>()
        var connection: NIOLoopBound<SubscriberConnection>?
        var reconnectHandlers: [@Sendable () -> Void] = []
        var isShutDown = false
        var refusal: RedisError?
        var lastFailure: RedisError?
    }

    /// What a link tells its owner; called on the event loop or its own task.
    struct Events: Sendable {
        /// No connection could be made, or it was lost.
        var troubled: @Sendable () -> Void = {}
        /// The server does not have the slot of a channel; the one that has.
        var misplaced: @Sendable (_ redirection: Redirection) -> Void = { _ in }
    }

    let configuration: RedisConfiguration
    private let logger: Logger
    private let loop: any EventLoop
    private let connector: RedisConnector
    private let metrics = RedisMetrics()
    private let events: Events
    private let state = Mutex(State())

    init(connector: RedisConnector, loop: any EventLoop, logger: Logger, events: Events = Events()) {
        configuration = connector.configuration
        self.connector = connector
        self.loop = loop
        self.logger = logger
        self.events = events
    }

    // MARK: Channels

    /// Listens to a channel from now on, or as soon as there is a connection. On the event loop.
    ///
    /// - Parameter waiters: told when Redis has confirmed it, or refused it.
    func begin(_ channel: String, _ handler: @escaping Handler, _ waiters: [SubscriptionWaiter]) {
        let (request, connection, refusal) = state.withLock { state in
            let refusal =
                state.isShutDown ? RedisError(.shutDown, "the Redis subscriber is closed") : state.refusal
            guard refusal == nil || waiters.isEmpty else {
                return (Subscriptions<Handler, SubscriptionWaiter>.Request.wait, state.connection, refusal)
            }
            return (state.subscriptions.subscribe(channel, handler, waiters), state.connection, nil)
        }
        if let refusal {
            for waiter in waiters { waiter.finish(.failure(refusal)) }
            return
        }
        switch request {
        case .send: connection?.value.send(.subscribe, [channel])
        case .confirmed: for waiter in waiters { waiter.finish(.success(())) }
        case .wait: break
        }
    }

    /// The same, on any thread, and nobody waits for it.
    func want(_ channel: String, onMessage: @escaping Handler) {
        loop.execute { self.begin(channel, onMessage, []) }
    }

    /// Whoever waited has gone; the channel stays.
    func forget(_ waiter: SubscriptionWaiter, of channel: String) {
        _ = state.withLock { $0.subscriptions.removeWaiters(channel) { $0 === waiter } }
    }

    var lastFailure: RedisError? { state.withLock { $0.lastFailure } }

    /// A channel on its way from one link to another of the same event loop.
    struct Transfer {
        let channel: String
        let handler: Handler
        let waiters: [SubscriptionWaiter]
    }

    /// Gives a channel away. On the event loop.
    func release(_ channel: String) -> Transfer? {
        let (result, connection) = state.withLock { state in
            (state.subscriptions.unsubscribe(channel), state.connection)
        }
        if result.mustSend { connection?.value.send(.unsubscribe, [channel]) }
        return result.handler.map { Transfer(channel: channel, handler: $0, waiters: result.waiters) }
    }

    /// Takes a channel over. On the event loop.
    ///
    /// - Parameter hasMissed: it was heard before, so what was published meanwhile is missing.
    func adopt(_ transfer: Transfer, hasMissed: Bool) {
        if hasMissed { state.withLock { $0.subscriptions.mayHaveMissed() } }
        begin(transfer.channel, transfer.handler, transfer.waiters)
    }

    /// Calls `body` on the event loop after each lost connection, once every channel is subscribed to again: messages may
    /// have been missed.
    func onReconnect(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.reconnectHandlers.append(body) }
    }

    // MARK: Life

    /// Keeps the connection up; returns on cancellation or ``shutDown()``.
    func run() async {
        await withTaskCancellationHandler {
            await self.maintain()
        } onCancel: {
            self.shutDown()
        }
        shutDown()
    }

    /// A connection to a server besides these goes, and is made anew.
    func leave(besides endpoints: [RedisEndpoint]) {
        loop.execute {
            guard let connection = self.state.withLock({ $0.connection })?.value,
                !endpoints.contains(connection.endpoint)
            else { return }
            connection.end(RedisError(.connection, "other servers are the primaries now"))
        }
    }

    private var isShutDown: Bool { state.withLock { $0.isShutDown } }

    func shutDown() {
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
        while !Task.isCancelled && !isShutDown {
            do {
                let closed = try await connect()
                backoff.succeed()
                logger.debug("redis subscriber connected")
                try? await closed.get()
                metrics.reconnecting()
                if Task.isCancelled || isShutDown { return }
                events.troubled()
                try? await Task.sleep(for: backoff.fail(chance: .random(in: 0..<1)))
            } catch {
                logger.debug("redis subscriber connection failed", metadata: ["error": "\(error)"])
                events.troubled()
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
                let connection = SubscriberConnection(connected, owner: self, closed: closed)
                let (channels, isRestored, isShutDown) = self.state.withLock { state in
                    state.connection = NIOLoopBound(connection, eventLoop: self.loop)
                    (state.refusal, state.lastFailure) = (nil, nil)
                    let (channels, isRestored) = state.subscriptions.connected()
                    return (channels, isRestored, state.isShutDown)
                }
                connected.handler.value.attach(connection)
                connection.start()
                connection.send(.subscribe, channels)
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
        case .refused(let serverError) where serverError.kind == .moved:
            if let redirection = Redirection(serverError.text) { events.misplaced(redirection) }
        case .refused(let serverError) where serverError.isTransient:
            let connection = state.withLock { $0.connection }
            let message = "Redis cannot serve channels just now: \(serverError.prefix)"
            connection?.value.end(RedisError(.connection, message, serverError: serverError))
        case .refused(let serverError):
            let waiters = state.withLock { $0.subscriptions.refused() }
            let error = RedisError(
                .server,
                "Redis refused a subscription: \(serverError.prefix)",
                serverError: serverError
            )
            for waiter in waiters { waiter.finish(.failure(error)) }
        case .unsubscribed(let channel):
            // The slot of the channel moves away. Asked again, the server says where to.
            let (isUnasked, connection) = state.withLock { ($0.subscriptions.ended(channel), $0.connection) }
            if isUnasked { connection?.value.send(.subscribe, [channel]) }
        case .pong:
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
