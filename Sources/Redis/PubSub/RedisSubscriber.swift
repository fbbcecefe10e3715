package import Logging
package import NIOCore
import ServiceLifecycle

/// Listens to Pub/Sub channels on connections of its own, and keeps listening when they are lost or a channel's slot moves.
///
/// A channel whose name has a hash tag is a sharded one: in a cluster it is carried by the server of its slot alone, and
/// scripts of that slot may publish on it, with `SPUBLISH`. Any other goes through all servers of a cluster, with
/// `PUBLISH`. ``RedisCommand/publish(_:to:)`` knows which.
///
/// Pub/Sub promises nothing: what was published while a connection was down is gone. After every reconnect, once Redis
/// has confirmed all its channels again, ``onReconnect(_:)`` tells those who must look elsewhere for what they missed.
///
/// Handlers run on the connections' one event loop, for each channel in order of arrival, and must not block.
package final class RedisSubscriber: Service, Sendable {
    package typealias Handler = @Sendable (ByteBuffer) -> Void

    private enum Backend {
        case one(ChannelLink)
        case watched(ChannelLink, SentinelWatch)
        case cluster(ClusterChannels)
    }

    let configuration: RedisConfiguration
    private let loop: any EventLoop
    private let backend: Backend

    package init(configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        let loop = eventLoopGroup.next()
        self.loop = loop
        func link(_ topology: any RedisTopology, _ purpose: Handshake.Purpose) -> ChannelLink {
            let connector = RedisConnector(configuration, topology: topology, purpose: purpose)
            return ChannelLink(connector: connector, loop: loop, logger: logger)
        }
        switch configuration.topology {
        case .standalone:
            backend = .one(link(StandaloneTopology(address: configuration.endpoints[0]), .any))
        case .sentinel(let primary):
            let topology = SentinelTopology(configuration, primary: primary, loop: loop)
            backend = .watched(link(topology, .primary), SentinelWatch(topology, loop: loop, logger: logger))
        case .cluster:
            backend = .cluster(ClusterChannels(configuration, loop: loop, logger: logger))
        }
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
            loop.execute { self.link(of: channel).begin(channel, onMessage, [waiter]) }
            let timer = loop.scheduleTask(deadline: deadline) { self.giveUp(waiter, channel) }
            defer { timer.cancel() }
            return await waiter.outcome()
        } onCancel: {
            waiter.finish(.failure(RedisError(.cancelled, "the subscription was cancelled", mayHaveRun: true)))
        }
        // The channel stays; only the one who waited is forgotten.
        if case .failure = outcome {
            loop.execute { self.link(of: channel).forget(waiter, of: channel) }
        }
        try outcome.get()
    }

    private func giveUp(_ waiter: SubscriptionWaiter, _ channel: String) {
        let cause = link(of: channel).lastFailure
        let message = "Redis did not confirm the subscription before the deadline"
        waiter.finish(.failure(RedisError(.timeout, message, mayHaveRun: true, underlying: cause)))
    }

    /// Stops listening. The handler is not called again once this returns, except on the event loop at this very moment.
    package func unsubscribe(_ channel: String) async {
        let transfer = try? await loop.submit {
            let transfer = self.link(of: channel).release(channel)
            if case .cluster(let channels) = self.backend { channels.forget(channel) }
            return transfer
        }.get()
        for waiter in transfer?.waiters ?? [] {
            waiter.finish(.failure(RedisError(.cancelled, "the channel was unsubscribed", mayHaveRun: true)))
        }
    }

    /// On the event loop.
    private func link(of channel: String) -> ChannelLink {
        switch backend {
        case .one(let link), .watched(let link, _): link
        case .cluster(let channels): channels.link(of: channel)
        }
    }

    /// Calls `body` on the event loop after each lost connection, once every channel of it is subscribed to again, and
    /// after channels have moved: messages may have been missed.
    package func onReconnect(_ body: @escaping @Sendable () -> Void) {
        switch backend {
        case .one(let link), .watched(let link, _): link.onReconnect(body)
        case .cluster(let channels): channels.onReconnect(body)
        }
    }

    // MARK: Life

    /// Keeps the connections up; returns on graceful shutdown or cancellation.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            switch self.backend {
            case .one(let link):
                await link.run()
            case .watched(let link, let watch):
                await withDiscardingTaskGroup { group in
                    group.addTask { await link.run() }
                    group.addTask { await watch.run { link.leave(besides: [$0]) } }
                }
            case .cluster(let channels):
                await channels.run()
            }
        }
    }
}
