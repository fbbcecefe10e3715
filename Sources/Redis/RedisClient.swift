package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// A client of one Redis, be it one server, a primary that sentinels watch, or a cluster: commands, pipelined on a few
/// connections per server that mend themselves.
///
/// It may be used before ``run()`` and while Redis is away: a command waits for a connection until its deadline and then
/// fails, retryable, with ``RedisError/mayHaveRun`` false. Callers choose no connection, so nothing that belongs to one
/// (`SELECT`, `SUBSCRIBE`, `WATCH`, `MULTI` across calls) may be sent. In a cluster the keys of a command must lie in one
/// hash slot; a pipeline may go to several servers, and its order holds among commands of one slot.
///
/// Bounds: 1,024 commands in flight per connection, 4,096 requests that wait per server; past both a request fails at once.
package final class RedisClient: Service, Sendable {
    private enum Backend {
        case one(NodePool)
        case watched(NodePool, SentinelWatch)
        case cluster(RedisCluster)
    }

    package let configuration: RedisConfiguration
    /// One of the loops that the connections live on.
    package let eventLoop: any EventLoop
    private let backend: Backend
    private let changes: ReplicationChanges
    private let metrics: RedisMetrics

    package init(configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        precondition(configuration.connectionCount > 0, "a Redis client needs at least one connection")
        self.configuration = configuration
        let loops = (0..<configuration.connectionCount).map { _ in eventLoopGroup.next() }
        eventLoop = loops[0]
        let changes = ReplicationChanges()
        self.changes = changes
        let metrics = RedisMetrics()
        self.metrics = metrics
        func pool(_ topology: any RedisTopology, _ purpose: Handshake.Purpose) -> NodePool {
            NodePool(
                connector: RedisConnector(configuration, topology: topology, purpose: purpose),
                loops: loops,
                metrics: metrics,
                logger: logger,
                events: NodePool.Events(replicationChanged: { changes.tell() })
            )
        }
        switch configuration.topology {
        case .standalone:
            backend = .one(pool(StandaloneTopology(address: configuration.endpoints[0]), .serving))
        case .sentinel(let primary):
            let topology = SentinelTopology(configuration, primary: primary, loop: loops[0])
            backend = .watched(pool(topology, .primary), SentinelWatch(topology, loop: loops[0], logger: logger))
        case .cluster:
            backend = .cluster(RedisCluster(configuration, loops, metrics, logger) { changes.tell() })
        }
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

    /// Sends commands as one pipeline and returns one reply for each. With one server they run in order; in a cluster those
    /// of one hash slot do.
    ///
    /// - Bounds: at most `maxInFlight` (1,024) commands.
    /// - Throws: ``RedisError`` when any reply is missing; error replies are returned as values.
    package func send(_ commands: [RedisCommand], timeout: Duration? = nil) async throws(RedisError) -> [RESPValue] {
        guard !commands.isEmpty else { return [] }
        guard commands.count <= configuration.maxInFlight else {
            let message = "a pipeline of \(commands.count) commands; the limit is \(configuration.maxInFlight)"
            throw RedisError(.invalidRequest, message)
        }
        let deadline = NIODeadline.now() + TimeAmount(timeout ?? configuration.commandTimeout)
        let start = ContinuousClock.now
        defer { metrics.roundTrip(since: start) }
        switch backend {
        case .one(let pool), .watched(let pool, _): return try await pool.send(commands, deadline: deadline)
        case .cluster(let cluster): return try await cluster.send(commands, deadline: deadline)
        }
    }

    // MARK: Which life of Redis

    /// Calls `body`, on any thread, when a server is connected to that serves from another history than the one before: it
    /// was restarted, restored or replaced, or a replica was promoted. Also at the first connection. No command is sent
    /// there until it has returned; it must not block, nor use this client.
    ///
    /// What the server holds may be older than what it answered before. ``replications()`` says who serves from what.
    package func onReplicationChange(_ body: @escaping @Sendable () -> Void) {
        changes.add(body)
    }

    /// Asks every primary which history it serves from.
    ///
    /// - Throws: ``RedisError`` when a primary does not answer: who is silent may live, or may be replaced in a moment.
    package func replications() async throws(RedisError) -> RedisReplications {
        let deadline = NIODeadline.now() + TimeAmount(configuration.commandTimeout)
        switch backend {
        case .one(let pool), .watched(let pool, _):
            let id = try await Self.replicationID(of: pool, deadline)
            return RedisReplications(all: [id]) { _ in id }
        case .cluster(let cluster):
            return try await cluster.replications(deadline)
        }
    }

    static func replicationID(of pool: NodePool, _ deadline: NIODeadline) async throws(RedisError) -> String {
        let reply = try await pool.send([RedisCommand("INFO", "replication")], deadline: deadline)[0]
        if let failure = reply.failure { throw failure }
        guard let replication = ReplicationInfo(reply), replication.isPrimary else {
            throw RedisError(.connection, "the server is a replica now, not the primary")
        }
        return replication.id
    }

    // MARK: Life

    /// Keeps the connections up; returns on graceful shutdown or cancellation, after those in flight have ended.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            switch self.backend {
            case .one(let pool):
                await pool.run()
            case .watched(let pool, let watch):
                await withDiscardingTaskGroup { group in
                    group.addTask { await pool.run() }
                    group.addTask { await watch.run { pool.moved(to: $0) } }
                }
            case .cluster(let cluster):
                await cluster.run()
            }
        }
    }
}

/// Who serves from which history of data.
package struct RedisReplications: Sendable {
    /// The replication ids of all primaries.
    package let all: Set<String>
    private let owner: @Sendable (String) -> String?

    init(all: Set<String>, owner: @escaping @Sendable (String) -> String?) {
        self.all = all
        self.owner = owner
    }

    /// The replication id of the primary that has this key; nil when nobody has it.
    package func id(of key: String) -> String? { owner(key) }
}

/// Those who want to know of other replication ids.
private final class ReplicationChanges: Sendable {
    private let bodies = Mutex<[@Sendable () -> Void]>([])

    func add(_ body: @escaping @Sendable () -> Void) { bodies.withLock { $0.append(body) } }

    func tell() {
        for body in bodies.withLock({ $0 }) { body() }
    }
}
