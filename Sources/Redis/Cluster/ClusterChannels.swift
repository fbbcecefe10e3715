import Logging
import NIOCore
import Synchronization

/// Channels of a cluster: a sharded one on a connection to the node that owns its slot, and after it when the slot moves.
/// Others are heard at any node.
///
/// Whatever decides where a channel is runs on the event loop, which all links share: so none is in two places.
final class ClusterChannels: Sendable {
    private struct State {
        var links: [RedisEndpoint: ChannelLink] = [:]
        /// Every sharded channel that is wanted, and who has it.
        var channels: [String: ChannelLink] = [:]
        var reconnectHandlers: [@Sendable () -> Void] = []
        var isShutDown = false
    }

    /// Any node that owns slots.
    private struct AnyNode: RedisTopology {
        let view: ClusterView
        let configured: [RedisEndpoint]

        func endpoint() async throws(RedisError) -> RedisEndpoint {
            (view.map?.nodes ?? configured).randomElement() ?? configured[0]
        }
    }

    private let configuration: RedisConfiguration
    private let loop: any EventLoop
    private let logger: Logger
    private let view: ClusterView
    private let state = Mutex(State())
    private let general: ChannelLink
    /// Has the sharded channels while nobody knows an owner. Never connected.
    private let nowhere: ChannelLink
    private let newLinks: AsyncStream<ChannelLink>
    private let newLink: AsyncStream<ChannelLink>.Continuation

    init(_ configuration: RedisConfiguration, loop: any EventLoop, logger: Logger) {
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
        let view = ClusterView(configuration, loop: loop, metrics: RedisMetrics(), logger: logger)
        self.view = view
        let anyNode = AnyNode(view: view, configured: configuration.endpoints)
        let connector = RedisConnector(configuration, topology: anyNode, purpose: .any)
        general = ChannelLink(
            connector: connector,
            loop: loop,
            logger: logger,
            events: ChannelLink.Events(troubled: { [weak view] in view?.doubt() })
        )
        nowhere = ChannelLink(connector: connector, loop: loop, logger: logger)
        // Bounded by the nodes of a cluster.
        (newLinks, newLink) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        general.onReconnect { [weak self] in self?.tellReconnected() }
        view.observe { [weak self, loop] map in loop.execute { [weak self] in self?.follow(map) } }
    }

    // MARK: On the event loop

    /// Who has the channel, or will have it.
    func link(of channel: String) -> ChannelLink {
        guard HashSlot.isSharded(channel) else { return general }
        if let link = state.withLock({ $0.channels[channel] }) { return link }
        let link = view.owner(of: HashSlot.of(channel)).map { self.link(at: $0) } ?? nowhere
        state.withLock { $0.channels[channel] = link }
        return link
    }

    func forget(_ channel: String) {
        state.withLock { $0.channels[channel] = nil }
    }

    private func link(at endpoint: RedisEndpoint) -> ChannelLink {
        if let link = state.withLock({ $0.links[endpoint] }) { return link }
        let topology = StandaloneTopology(address: endpoint)
        let link = ChannelLink(
            connector: RedisConnector(configuration, topology: topology, purpose: .any),
            loop: loop,
            logger: logger,
            events: ChannelLink.Events(
                troubled: { [weak view] in view?.doubt() },
                misplaced: { [weak view] redirection in
                    if let owner = redirection.endpoint(from: endpoint) { view?.learn(redirection.slot, owner) }
                }
            )
        )
        link.onReconnect { [weak self] in self?.tellReconnected() }
        let isShutDown = state.withLock { state in
            state.links[endpoint] = link
            return state.isShutDown
        }
        if isShutDown { link.shutDown() } else { newLink.yield(link) }
        return link
    }

    /// Takes every channel to the owner of its slot, and lets go of nodes that own nothing any more.
    private func follow(_ map: SlotMap) {
        for (channel, link) in state.withLock({ $0.channels }) {
            guard let owner = map.owner(of: HashSlot.of(channel)) else { continue }
            let target = self.link(at: owner)
            guard target !== link else { continue }
            state.withLock { $0.channels[channel] = target }
            guard let transfer = link.release(channel) else { continue }
            target.adopt(transfer, hasMissed: link !== nowhere)
        }
        general.leave(besides: map.nodes)
        let nodes = Set(map.nodes)
        let gone = state.withLock { state in
            let used = Set(state.channels.values.map { ObjectIdentifier($0) })
            let gone = state.links.filter { !nodes.contains($0.key) && !used.contains(ObjectIdentifier($0.value)) }
            for endpoint in gone.keys { state.links[endpoint] = nil }
            return gone
        }
        for link in gone.values { link.shutDown() }
    }

    // MARK: Reconnects

    func onReconnect(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.reconnectHandlers.append(body) }
    }

    private func tellReconnected() {
        for body in state.withLock({ $0.reconnectHandlers }) { body() }
    }

    // MARK: Life

    /// Until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.view.run() }
            group.addTask { await self.general.run() }
            for await link in newLinks { group.addTask { await link.run() } }
            let links = state.withLock { state in
                state.isShutDown = true
                return state.links.values
            }
            for link in links { link.shutDown() }
            nowhere.shutDown()
        }
    }
}
