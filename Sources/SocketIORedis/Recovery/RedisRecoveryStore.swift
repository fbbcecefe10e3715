import EngineIO
import Logging
import NIOCore
import Redis
import SocketIO
import Synchronization

/// Keeps sessions and events in Redis, so that a client may come back to any node.
///
/// Everything that one node asks of Redis goes through the adapter's one queue, so Redis sees it in the order in which
/// it happened: an event behind the joining of its room, the end of a session behind its last event.
///
/// A broadcast is numbered, kept and published by one script. It reaches the sockets of this node as it reaches those of
/// others, when it comes back by Pub/Sub: one connection carries all channels in the order of the numbers, and so to have
/// got one means to have got all before it.
///
/// While Redis is away events are sent without offsets, to this node's sockets only, and are not kept.
final class RedisRecoveryStore: RecoveryStore, Sendable {
    /// What the store needs of its adapter.
    struct Link: Sendable {
        /// Queues a call; tells the reply, or that there was none and whether the call may have run.
        let send: @Sendable (RedisScriptCall, @escaping @Sendable (Result<RESPValue, RedisError>) -> Void) -> Void
        /// Which channel brings a broadcast to all nodes that have members.
        let channel: @Sendable (_ namespace: String, _ rooms: [String]) -> String
        /// Whether this node listens to a channel, or is about to.
        let listens: @Sendable (_ channel: String) -> Bool
        /// Returns when the namespace's own channel brings messages here, or when that cannot be had now.
        let ready: @Sendable (_ namespace: String) async -> Void
        let server: @Sendable () -> SocketIOServer?
    }

    struct State {
        var epochs: [String: String] = [:]
        /// Namespaces whose channel this node listens to.
        var prepared: Set<String> = []
        var isAway = false
        var ownBroadcasts = OwnBroadcasts()
    }

    /// A missed event waits for the disconnection to be seen, which takes at most two heartbeats, and then for its client.
    private static let heartbeatMs = 60_000
    /// So long a disconnection waits at most for what was broadcast before it to come back.
    private static let maxBroadcastDelay = TimeAmount.seconds(10)

    private let prefix: String
    private let logger: Logger
    let link: Link
    let state = Mutex(State())

    init(prefix: String, logger: Logger, link: Link) {
        self.prefix = prefix
        self.logger = logger
        self.link = link
    }

    private var settings: ConnectionStateRecovery {
        self.link.server()?.configuration.connectionStateRecovery ?? ConnectionStateRecovery()
    }
    var durationMs: Int { max(1, Int(self.settings.maxDisconnectionDuration.nanoseconds / 1_000_000)) }

    func keys(_ namespace: String) -> RecoveryKeys { RecoveryKeys(prefix: self.prefix, namespace: namespace) }

    // MARK: Calls

    /// Every script takes the epoch that a new life of the counter would have, and answers with the one there is.
    private func call(
        _ script: RedisScript,
        _ namespace: String,
        keys: [String] = [],
        _ arguments: [RedisArgument] = [],
        then: @escaping @Sendable (Result<[RESPValue], RedisError>) -> Void = { _ in }
    ) {
        let offered = String(SessionID.random().prefix(8))
        let call = RedisScriptCall(
            script,
            keys: [self.keys(namespace).head] + keys,
            arguments: [RedisArgument(offered)] + arguments
        )
        self.link.send(call) { result in
            then(result.flatMap { self.read($0, script, namespace) }.mapError { self.failed($0, script) })
        }
    }

    private func read(_ reply: RESPValue, _ script: RedisScript, _ namespace: String) -> Result<[RESPValue], RedisError>
    {
        if let failure = reply.failure { return .failure(failure) }
        guard let values = reply.array, values.count >= 2, let epoch = values[0].string else {
            return .failure(
                RedisError(.unexpectedReply, "\(script.name): the reply does not begin with epoch and number")
            )
        }
        self.state.withLock { state in
            state.isAway = false
            if state.epochs[namespace] != epoch { state.epochs[namespace] = epoch }
        }
        return .success(values)
    }

    private func failed(_ error: RedisError, _ script: RedisScript) -> RedisError {
        if error.code != .server, error.code != .unexpectedReply { self.state.withLock { $0.isAway = true } }
        self.logger.debug(
            "recovery state not written",
            metadata: ["redis.script": "\(script.name)", "redis.error": "\(error)"]
        )
        return error
    }

    func call(
        _ script: RedisScript,
        _ namespace: String,
        keys: [String],
        _ arguments: [RedisArgument]
    ) async -> [RESPValue]? {
        await withCheckedContinuation { continuation in
            self.call(script, namespace, keys: keys, arguments) { continuation.resume(returning: try? $0.get()) }
        }
    }

    // MARK: RecoveryStore

    var isShared: Bool { true }

    func epoch(of namespace: String) -> String? {
        self.state.withLock { $0.isAway || !$0.prepared.contains(namespace) ? nil : $0.epochs[namespace] }
    }

    func prepare(_ namespace: String) async {
        // While Redis is away nobody waits for it: the refresh finds out when it is back.
        if self.state.withLock({ $0.isAway }) { return }
        await self.link.ready(namespace)
        if await self.call(RecoveryScripts.head, namespace, keys: [], []) != nil {
            self.state.withLock { _ = $0.prepared.insert(namespace) }
        }
    }

    /// The node no longer has the namespace, and does not listen to its channel.
    func closed(_ namespace: String) {
        self.state.withLock { state in
            state.prepared.remove(namespace)
            state.epochs[namespace] = nil
        }
    }

    func broadcast(_ packet: EncodedPacket, to namespace: Namespace, rooms: [String], except: [String]) -> Bool {
        let channel = self.link.channel(namespace.name, rooms)
        let listens = self.link.listens(channel)
        guard let server = self.link.server(),
            let id = self.state.withLock({
                $0.isAway ? nil : $0.ownBroadcasts.begin(returningBy: listens ? channel : nil)
            })
        else { return false }
        let (keys, settings, name) = (self.keys(namespace.name), self.settings, namespace.name)
        let origin = OwnBroadcasts.origin(node: server.node, id)
        let message = RecoveryNotice.bytes(packet, origin: origin, namespace: name, rooms: rooms, except: except)
        self.call(
            RecoveryScripts.broadcast,
            name,
            keys: rooms.isEmpty ? [keys.everyone] : rooms.map(keys.room),
            [
                RedisArgument(channel), RedisArgument(message),
                RedisArgument(settings.maxEventsPerRoom), RedisArgument(self.durationMs + Self.heartbeatMs),
            ]
        ) { [weak server] result in
            guard let server else { return }
            guard case .failure = result else { return self.state.withLock { $0.ownBroadcasts.succeeded(id) } }
            // Other nodes are told by the adapter, which owes them a notice.
            server.messagesMayBeMissed()
            if self.state.withLock({ $0.ownBroadcasts.failed(id) }) {
                server.deliverLocally(packet, namespace: name, rooms: rooms, except: except)
            }
            self.runReady()
        }
        return true
    }

    func afterBroadcasts(_ action: @escaping @Sendable () -> Void) -> Bool {
        guard let id = self.state.withLock({ $0.ownBroadcasts.wait(action) }), let server = self.link.server() else {
            return false
        }
        server.anyEventLoop.scheduleTask(in: Self.maxBroadcastDelay) {
            self.state.withLock { $0.ownBroadcasts.giveUp(on: id) }
            self.runReady()
        }
        return true
    }

    /// The last member of a room has left. Called under its namespace's lock: what waited runs later.
    func stoppedListening(to channel: String) {
        let hasWaiting = self.state.withLock { state in
            state.ownBroadcasts.stoppedListening(to: channel)
            return state.ownBroadcasts.hasWaiting
        }
        if hasWaiting { self.link.server()?.anyEventLoop.execute { self.runReady() } }
    }

    /// What was published while the connection was down does not come any more.
    func missedMessages() {
        self.state.withLock { $0.ownBroadcasts.giveUp() }
        self.runReady()
    }

    private func runReady() {
        for action in self.state.withLock({ $0.ownBroadcasts.takeReady() }) { action() }
    }

    /// A broadcast has come by Pub/Sub.
    func received(_ message: RecoverableMessage, namespace: String, origin: String, _ server: SocketIOServer) {
        if let id = OwnBroadcasts.id(of: origin, node: server.node),
            !self.state.withLock({ $0.ownBroadcasts.returned(id) })
        {
            return
        }
        server.deliver(message, namespace: namespace)
        self.runReady()
    }

    func began(_ session: RecoverySession) { self.write(session, data: nil) }

    /// Writes the whole record. On the socket's loop.
    func write(_ session: RecoverySession, data: RawJSON?) {
        self.call(
            RecoveryScripts.begin,
            session.namespace,
            keys: [self.keys(session.namespace).session(session.pid)],
            [
                RedisArgument(session.owner), RedisArgument(session.sid), RedisArgument(self.durationMs),
                RedisArgument(session.directCount), RedisArgument(data?.bytes ?? ByteBuffer()),
                RedisArgument(session.claim),
            ] + session.stays.keys.map { RedisArgument($0) }
        )
    }

    /// The claim has opened the record already.
    func resumed(_ session: RecoverySession) {}

    func joined(_ room: String, _ session: RecoverySession, stored: @escaping @Sendable () -> Void) {
        self.change(session, "join", RedisArgument(room), then: stored)
    }
    func left(_ room: String, _ session: RecoverySession) { self.change(session, "leave", RedisArgument(room)) }
    func changed(_ data: RawJSON?, of session: RecoverySession, stored: @escaping @Sendable () -> Void) {
        self.change(session, "data", RedisArgument(data?.bytes ?? ByteBuffer()), then: stored)
    }

    private func change(
        _ session: RecoverySession,
        _ what: RedisArgument,
        _ value: RedisArgument,
        then: @escaping @Sendable () -> Void = {}
    ) {
        self.call(
            RecoveryScripts.change,
            session.namespace,
            keys: [self.keys(session.namespace).session(session.pid)],
            [RedisArgument(session.owner), what, value]
        ) { _ in then() }
    }

    func emitted(
        _ packet: EncodedPacket,
        at offset: RecoveryOffset,
        epoch: String,
        _ session: RecoverySession,
        moved: @escaping @Sendable () -> Void
    ) {
        let keys = self.keys(session.namespace)
        self.call(
            RecoveryScripts.emit,
            session.namespace,
            keys: [keys.session(session.pid), keys.directs(session.pid)],
            [
                RedisArgument(session.owner), RedisArgument(epoch), RedisArgument(offset.broadcast),
                RedisArgument(offset.direct),
                RedisArgument(RecoveryNotice.bytes(packet, origin: "", namespace: session.namespace)),
                RedisArgument(self.settings.maxEventsPerRoom), RedisArgument(self.durationMs + Self.heartbeatMs),
            ]
        ) { reply in
            if case .success(let values) = reply, values.count > 2, values[2].int == 1 { moved() }
        }
    }

    func ended(_ session: RecoverySession, data: (any Sendable)?, isRecoverable: Bool) {
        let keys = self.keys(session.namespace)
        let json = (data as? any Encodable).flatMap { try? RawJSON(encoding: $0) }
        self.call(
            RecoveryScripts.end,
            session.namespace,
            keys: [keys.session(session.pid), keys.directs(session.pid)],
            [
                RedisArgument(session.owner), RedisArgument(isRecoverable ? self.durationMs : 0),
                RedisArgument(json?.bytes ?? ByteBuffer()),
            ]
        )
    }
}
