import Logging
import NIOCore
import Synchronization

/// What we believe about a cluster: which nodes there are and who owns which slot.
///
/// Asked of one node after the other, on a connection of its own: at the start, when something points to a change, and
/// every two seconds anyway, so that a lost hint costs no more than that.
final class ClusterView: Sendable {
    /// The pause between two questions, however many hints there are.
    private static let minInterval: Duration = .milliseconds(50)
    /// A node that does not answer by then is left for another.
    private static let patience: Duration = .milliseconds(500)

    private struct State {
        var map: SlotMap?
        var observer: (@Sendable (SlotMap) -> Void)?
    }

    /// Takes the nodes in turn: each connection is to another.
    private final class Turns: RedisTopology, Sendable {
        private struct State {
            var endpoints: [RedisEndpoint]
            var next = 0
            var last: RedisEndpoint?
        }

        private let configured: [RedisEndpoint]
        private let state: Mutex<State>

        init(_ configured: [RedisEndpoint]) {
            self.configured = configured
            state = Mutex(State(endpoints: configured))
        }

        func endpoint() async throws(RedisError) -> RedisEndpoint {
            state.withLock { state in
                let endpoint = state.endpoints[state.next % state.endpoints.count]
                state.next += 1
                state.last = endpoint
                return endpoint
            }
        }

        var last: RedisEndpoint? { state.withLock { $0.last } }

        func learn(_ nodes: [RedisEndpoint]) {
            let others = configured.filter { !nodes.contains($0) }
            state.withLock { $0.endpoints = nodes + others }
        }
    }

    private let turns: Turns
    private let anyNode: NodePool
    private let interval: Duration
    private let state = Mutex(State())
    private let hints: AsyncStream<Void>
    private let hint: AsyncStream<Void>.Continuation

    init(_ configuration: RedisConfiguration, loop: any EventLoop, metrics: RedisMetrics, logger: Logger) {
        var asking = configuration
        asking.commandTimeout = min(configuration.commandTimeout, Self.patience)
        asking.connectTimeout = min(configuration.connectTimeout, Self.patience)
        turns = Turns(configuration.endpoints)
        anyNode = NodePool(
            connector: RedisConnector(asking, topology: turns, purpose: .any),
            loops: [loop],
            metrics: metrics,
            logger: logger
        )
        interval = configuration.mapInterval
        // One pending hint is enough: whoever answers it looks at everything.
        (hints, hint) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Called with every map that differs from the one before, on any thread. Set once, before ``run()``.
    func observe(_ observer: @escaping @Sendable (SlotMap) -> Void) {
        state.withLock { $0.observer = observer }
    }

    var map: SlotMap? { state.withLock { $0.map } }

    func owner(of slot: Int) -> RedisEndpoint? { state.withLock { $0.map?.owner(of: slot) } }

    /// Something does not fit what we believe.
    func doubt() { hint.yield() }

    /// A node said who owns the slot. The whole map is asked for as well: slots seldom move alone.
    func learn(_ slot: Int, _ endpoint: RedisEndpoint) {
        set { map in
            var map = map
            map?.setOwner(of: slot, to: endpoint)
            return map
        }
        doubt()
    }

    /// Asks some node for the whole map.
    ///
    /// - Throws: ``RedisError`` when none told it before the deadline.
    func refresh(_ deadline: NIODeadline) async throws(RedisError) {
        let reply = try await anyNode.send([RedisCommand("CLUSTER", "SLOTS")], deadline: deadline)[0]
        if let failure = reply.failure { throw failure }
        guard let map = SlotMap(reply, from: turns.last) else {
            throw RedisError(.unexpectedReply, "CLUSTER SLOTS: a node told no slots")
        }
        turns.learn(map.nodes)
        set { _ in map }
    }

    private func set(_ change: (SlotMap?) -> SlotMap?) {
        let (map, observer) = state.withLock { state in
            let map = change(state.map)
            guard map != state.map else { return (SlotMap?.none, state.observer) }
            state.map = map
            return (map, state.observer)
        }
        if let map { observer?(map) }
    }

    /// Until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.anyNode.run() }
            group.addTask {
                while !Task.isCancelled {
                    self.doubt()
                    try? await Task.sleep(for: self.interval)
                }
            }
            group.addTask {
                for await _ in self.hints {
                    // Failing is answered by the next round, or the next hint.
                    try? await self.refresh(.now() + TimeAmount(Self.patience))
                    try? await Task.sleep(for: Self.minInterval)
                }
            }
        }
    }
}
