import Logging
import NIOCore
import Synchronization

/// Commands to a cluster: each to the node that owns its keys' slot, and after it when the slot moves.
///
/// - `MOVED`: the node named is asked, and the whole map renewed. `ASK`: the node named is asked this once.
/// - `TRYAGAIN`, `CLUSTERDOWN`, and whatever waited for a node that has left the map: again after a pause, until the
///   deadline. None of these has run.
/// - What may have run is never sent again.
///
/// Bounds: 5 redirections per call; one pool per node, of which a cluster has 1,000 at most.
final class RedisCluster: Sendable {
    private struct State {
        var pools: [RedisEndpoint: NodePool] = [:]
        var isShutDown = false
    }

    private let configuration: RedisConfiguration
    private let loops: [any EventLoop]
    private let metrics: RedisMetrics
    private let logger: Logger
    private let replicationChanged: @Sendable () -> Void
    private let view: ClusterView
    private let state = Mutex(State())
    private let newPools: AsyncStream<NodePool>
    private let newPool: AsyncStream<NodePool>.Continuation

    init(
        _ configuration: RedisConfiguration,
        _ loops: [any EventLoop],
        _ metrics: RedisMetrics,
        _ logger: Logger,
        replicationChanged: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.loops = loops
        self.metrics = metrics
        self.logger = logger
        self.replicationChanged = replicationChanged
        view = ClusterView(configuration, loop: loops[0], metrics: metrics, logger: logger)
        // Bounded by the nodes of a cluster.
        (newPools, newPool) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        view.observe { [weak self] map in self?.retire(besides: map.nodes) }
    }

    // MARK: Pools

    private func pool(at endpoint: RedisEndpoint) throws(RedisError) -> NodePool {
        let (pool, isNew) = state.withLock { state -> (NodePool?, Bool) in
            if state.isShutDown { return (nil, false) }
            if let pool = state.pools[endpoint] { return (pool, false) }
            let made = NodePool(
                connector: RedisConnector(
                    configuration,
                    topology: StandaloneTopology(address: endpoint),
                    purpose: .serving
                ),
                loops: loops,
                metrics: metrics,
                logger: logger,
                events: NodePool.Events(
                    replicationChanged: replicationChanged,
                    troubled: { [weak view] in view?.doubt() }
                )
            )
            state.pools[endpoint] = made
            return (made, true)
        }
        guard let pool else { throw RedisError(.shutDown, "the Redis client is closed") }
        if isNew { newPool.yield(pool) }
        return pool
    }

    /// Pools of nodes that own nothing any more. What waits there fails unsent, and is sent to the new owner.
    private func retire(besides nodes: [RedisEndpoint]) {
        let nodes = Set(nodes)
        let gone = state.withLock { state in
            let gone = state.pools.filter { !nodes.contains($0.key) }
            for endpoint in gone.keys { state.pools[endpoint] = nil }
            return gone
        }
        for pool in gone.values { pool.shutDown() }
    }

    // MARK: Commands

    /// One call of `send`: what is still to be answered, and how often it was sent elsewhere.
    private struct Call {
        let commands: [RedisCommand]
        let slots: [Int]
        let deadline: NIODeadline
        var replies: [RESPValue?]
        /// Those without a final reply, in order.
        var pending: [Int]
        /// Nodes to ask this once instead of the owner.
        var asked: [Int: RedisEndpoint] = [:]
        var redirects = 0
        var hasRun = false
    }

    func send(_ commands: [RedisCommand], deadline: NIODeadline) async throws(RedisError) -> [RESPValue] {
        var call = Call(
            commands: commands,
            slots: try Self.slots(of: commands),
            deadline: deadline,
            replies: Array(repeating: nil, count: commands.count),
            pending: Array(commands.indices)
        )
        var backoff = Backoff(configuration.retryDelay)
        while true {
            let needsPause = try await round(&call)
            if call.pending.isEmpty { return call.replies.compactMap(\.self) }
            guard needsPause else { continue }
            let pause = backoff.fail(chance: .random(in: 0..<1))
            guard NIODeadline.now() + TimeAmount(pause) < deadline else { return try giveUp(call) }
            do {
                try await Task.sleep(for: pause)
            } catch {
                throw RedisError(.cancelled, "the command was cancelled", mayHaveRun: call.hasRun)
            }
        }
    }

    /// A command without keys goes along with the next that has some, as `SCRIPT LOAD` must, or else with the last: any node
    /// may run it.
    static func slots(of commands: [RedisCommand]) throws(RedisError) -> [Int] {
        var slots = Array(repeating: 0, count: commands.count)
        var next: Int?
        var keyless: [Int] = []
        for index in commands.indices.reversed() {
            if let slot = try commands[index].slot {
                next = slot
                // Those behind the last that has keys.
                for index in keyless { slots[index] = slot }
                keyless = []
            }
            if let next { slots[index] = next } else { keyless.append(index) }
        }
        return slots
    }

    /// Whatever the last round was told stands: an error reply for each that had one.
    private func giveUp(_ call: Call) throws(RedisError) -> [RESPValue] {
        let replies = call.replies.compactMap(\.self)
        guard replies.count == call.commands.count else {
            let message = "the cluster could not serve the command before its deadline"
            throw RedisError(.unavailable, message, mayHaveRun: call.hasRun)
        }
        return replies
    }

    private struct Portion: Sendable {
        let pool: NodePool
        let endpoint: RedisEndpoint
        let isAsking: Bool
        var indices: [Int]
    }

    /// Sends what is pending, each portion to its node, all at the same time.
    ///
    /// - Returns: whether to pause before the next round.
    private func round(_ call: inout Call) async throws(RedisError) -> Bool {
        guard try await knowsMap(call) else { return true }
        let portions = try portions(call)
        let results = await run(portions, call.commands, call.deadline)
        var again: [Int] = []
        var needsPause = false
        var isRedirected = false
        call.asked = [:]
        for (portion, result) in zip(portions, results) {
            switch result {
            case .success(let replies):
                for (index, reply) in zip(portion.indices, replies) {
                    call.replies[index] = reply
                    switch judge(reply, portion.endpoint) {
                    case .final:
                        call.hasRun = true
                        continue
                    case .moved: isRedirected = true
                    case .ask(let endpoint):
                        isRedirected = true
                        call.asked[index] = endpoint
                    case .later: needsPause = true
                    }
                    again.append(index)
                }
            case .failure(let error):
                // Unsent, and the node may just have left the map; until the deadline somebody else may have its slots.
                let isUnsent = !error.mayHaveRun && (error.code == .shutDown || error.code == .connection)
                guard isUnsent, !state.withLock({ $0.isShutDown }) else {
                    throw call.hasRun ? error.with(mayHaveRun: true) : error
                }
                view.doubt()
                needsPause = true
                again += portion.indices
            }
        }
        if isRedirected { call.redirects += 1 }
        // The redirection itself is then the reply: retryable, and not run.
        call.pending = call.redirects > configuration.maxRedirects ? [] : again.sorted()
        return needsPause
    }

    private enum Verdict {
        case final, moved, later
        case ask(RedisEndpoint)
    }

    private func judge(_ reply: RESPValue, _ endpoint: RedisEndpoint) -> Verdict {
        guard case .error(let text) = reply else { return .final }
        switch RedisServerError(text).kind {
        case .moved:
            guard let to = Redirection(text), let owner = to.endpoint(from: endpoint) else { return .final }
            view.learn(to.slot, owner)
            return .moved
        case .ask:
            return Redirection(text)?.endpoint(from: endpoint).map { .ask($0) } ?? .final
        case .tryAgain:
            return .later
        case .clusterDown, .loading, .masterDown:
            view.doubt()
            return .later
        default:
            return .final
        }
    }

    /// False when no node told the map, but another may in a moment.
    private func knowsMap(_ call: Call) async throws(RedisError) -> Bool {
        if view.map != nil { return true }
        do {
            try await view.refresh(call.deadline)
            return true
        } catch {
            guard error.isRetryable || error.code == .unexpectedReply, NIODeadline.now() < call.deadline else {
                throw error.with(mayHaveRun: false)
            }
            return false
        }
    }

    private func portions(_ call: Call) throws(RedisError) -> [Portion] {
        var portions: [Portion] = []
        for index in call.pending {
            let isAsking = call.asked[index] != nil
            guard let endpoint = call.asked[index] ?? view.owner(of: call.slots[index]) ?? view.map?.nodes.first else {
                throw RedisError(.unavailable, "nobody knows the cluster's nodes", mayHaveRun: call.hasRun)
            }
            if let known = portions.firstIndex(where: { $0.endpoint == endpoint && $0.isAsking == isAsking }) {
                portions[known].indices.append(index)
            } else {
                let pool = try pool(at: endpoint)
                portions.append(Portion(pool: pool, endpoint: endpoint, isAsking: isAsking, indices: [index]))
            }
        }
        return portions
    }

    private typealias Result = Swift.Result<[RESPValue], RedisError>

    private func run(_ portions: [Portion], _ commands: [RedisCommand], _ deadline: NIODeadline) async -> [Result] {
        if portions.count == 1 { return [await run(portions[0], commands, deadline)] }
        return await withTaskGroup(of: (Int, Result).self) { group in
            for (position, portion) in portions.enumerated() {
                group.addTask { (position, await self.run(portion, commands, deadline)) }
            }
            var results = [Result](repeating: .success([]), count: portions.count)
            for await (position, result) in group { results[position] = result }
            return results
        }
    }

    private func run(_ portion: Portion, _ commands: [RedisCommand], _ deadline: NIODeadline) async -> Result {
        let mine = portion.indices.map { commands[$0] }
        do throws(RedisError) {
            guard portion.isAsking else { return .success(try await portion.pool.send(mine, deadline: deadline)) }
            // Each needs its own ASKING before it. Half a pipeline at a time, for two commands stand for one.
            var replies: [RESPValue] = []
            for start in stride(from: 0, to: mine.count, by: configuration.maxInFlight / 2) {
                let chunk = mine[start..<min(start + configuration.maxInFlight / 2, mine.count)]
                let asking = chunk.flatMap { [RedisCommand("ASKING"), $0] }
                let answers = try await portion.pool.send(asking, deadline: deadline)
                replies += stride(from: 1, to: answers.count, by: 2).map { answers[$0] }
            }
            return .success(replies)
        } catch {
            return .failure(error)
        }
    }

    // MARK: Which life

    func replications(_ deadline: NIODeadline) async throws(RedisError) -> RedisReplications {
        try await view.refresh(deadline)
        guard let map = view.map else { throw RedisError(.unavailable, "nobody knows the cluster's nodes") }
        var ids: [RedisEndpoint: String] = [:]
        for node in map.nodes {
            ids[node] = try await RedisClient.replicationID(of: try pool(at: node), deadline)
        }
        let found = ids
        return RedisReplications(all: Set(found.values)) { key in
            map.owner(of: HashSlot.of(key)).flatMap { found[$0] }
        }
    }

    // MARK: Life

    /// Until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.view.run() }
            for await pool in newPools { group.addTask { await pool.run() } }
            let pools = state.withLock { state in
                state.isShutDown = true
                return state.pools.values
            }
            for pool in pools { pool.shutDown() }
            group.cancelAll()
        }
    }
}
