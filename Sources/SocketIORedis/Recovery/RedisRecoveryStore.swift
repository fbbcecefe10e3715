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

    private struct State {
        var epochs: [String: String] = [:]
        /// Namespaces whose channel this node listens to.
        var prepared: Set<String> = []
        var isAway = false
        var ownBroadcasts = OwnBroadcasts()
    }

    /// A missed event waits for the disconnection to be seen, which takes at most two heartbeats, and then for its client.
    private static let heartbeatMs = 60_000
    private static let maxReplayBytes = 16 * 1024 * 1024
    private static let refreshBatch = 256

    private let prefix: String
    private let logger: Logger
    private let link: Link
    private let state = Mutex(State())

    init(prefix: String, logger: Logger, link: Link) {
        self.prefix = prefix
        self.logger = logger
        self.link = link
    }

    private var settings: ConnectionStateRecovery {
        self.link.server()?.configuration.connectionStateRecovery ?? ConnectionStateRecovery()
    }
    private var durationMs: Int { max(1, Int(self.settings.maxDisconnectionDuration.nanoseconds / 1_000_000)) }

    private func keys(_ namespace: String) -> RecoveryKeys { RecoveryKeys(prefix: self.prefix, namespace: namespace) }

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

    private func call(
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
            let id = self.state.withLock({ $0.isAway ? nil : $0.ownBroadcasts.begin(returns: listens) })
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
        // The last member of a room may leave before a broadcast comes back: then it never does.
        server.anyEventLoop.scheduleTask(in: .seconds(1)) {
            self.state.withLock { $0.ownBroadcasts.giveUp(on: id) }
            self.runReady()
        }
        return true
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
    private func write(_ session: RecoverySession, data: RawJSON?) {
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

    func joined(_ room: String, _ session: RecoverySession) { self.change(session, "join", RedisArgument(room)) }
    func left(_ room: String, _ session: RecoverySession) { self.change(session, "leave", RedisArgument(room)) }
    func changed(_ data: RawJSON?, of session: RecoverySession) {
        self.change(session, "data", RedisArgument(data?.bytes ?? ByteBuffer()))
    }

    private func change(_ session: RecoverySession, _ what: RedisArgument, _ value: RedisArgument) {
        self.call(
            RecoveryScripts.change,
            session.namespace,
            keys: [self.keys(session.namespace).session(session.pid)],
            [RedisArgument(session.owner), what, value]
        )
    }

    func emitted(_ packet: EncodedPacket, at offset: RecoveryOffset, epoch: String, _ session: RecoverySession) {
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
        )
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

    func claim(_ request: RecoveryRequest) async -> RecoveryClaim? {
        var offset: RecoveryOffset.Parts?
        if let text = request.offset {
            guard let parts = RecoveryOffset.Parts(text) else { return nil }
            offset = parts
        }
        let reply = await self.call(
            RecoveryScripts.claim,
            request.namespace,
            keys: [self.keys(request.namespace).session(request.pid)],
            [
                RedisArgument(request.owner), RedisArgument(self.durationMs),
                RedisArgument(self.link.channel(request.namespace, [])), RedisArgument(request.pid),
                RedisArgument(offset?.epoch ?? ""), RedisArgument(offset?.broadcast ?? 0),
                RedisArgument(offset?.direct ?? 0), RedisArgument(offset?.tag ?? ""),
            ]
        )
        guard let reply, reply.count > 5, let broadcast = reply[2].int, let direct = reply[3].int,
            let number = reply[4].int
        else { return nil }
        var fields: [String: RESPValue] = [:]
        for index in stride(from: 5, to: reply.count - 1, by: 2) {
            if let name = reply[index].string { fields[name] = reply[index + 1] }
        }
        guard let sid = fields["sid"]?.string, let start = fields["start"]?.int else { return nil }
        var stays: [String: Int] = [:]
        for (name, value) in fields where name.hasPrefix("r:") { stays[String(name.dropFirst(2))] = value.int ?? 0 }
        return RecoveryClaim(
            request,
            number: number,
            sid: sid,
            start: start,
            stays: stays,
            data: fields["data"]?.buffer.flatMap { try? RawJSON(validating: $0) },
            offset: RecoveryOffset(broadcast: broadcast, direct: direct),
            seen: offset.map { RecoveryOffset(broadcast: $0.broadcast, direct: $0.direct) },
            epoch: reply[0].string ?? ""
        )
    }

    func missed(_ claim: RecoveryClaim) async -> RecoveryReplay? {
        let keys = self.keys(claim.namespace)
        // What is published after the reading has to arrive here.
        await self.link.ready(claim.namespace)
        let reply = await self.call(
            RecoveryScripts.read,
            claim.namespace,
            keys: [keys.session(claim.pid), keys.directs(claim.pid), keys.everyone],
            [
                RedisArgument(claim.owner), RedisArgument(claim.epoch), RedisArgument(claim.offset.broadcast),
                RedisArgument(claim.offset.direct), RedisArgument(keys.roomPrefix),
                RedisArgument(Self.maxReplayBytes),
            ]
        )
        guard let reply, reply.count >= 4, let through = reply[1].int, let directCount = reply[2].int,
            let directs = reply[3].int, 4 + 2 * directs <= reply.count
        else { return nil }
        var events: [RecoveryOffset: EncodedPacket] = [:]
        for index in stride(from: 4, to: reply.count - 1, by: 2) {
            guard let offset = reply[index].string.flatMap(RecoveryOffset.init(streamID:)),
                let bytes = reply[index + 1].buffer
            else { return nil }
            if index < 4 + 2 * directs {
                // Kept as it was sent, with its offset.
                events[offset] = RecoveryNotice.packet(bytes)
                continue
            }
            guard let message = RecoveryNotice.message(bytes, epoch: claim.epoch, number: offset.broadcast)?.0 else {
                return nil
            }
            if message.isFor(sid: claim.sid, since: claim.start, stays: claim.stays) { events[offset] = message.packet }
        }
        return RecoveryReplay(
            epoch: claim.epoch,
            through: through,
            events: events.sorted { $0.key < $1.key }.map { .init(offset: $0.key, packet: $0.value) },
            // A node that was killed may have sent more than it could keep.
            directCount: max(directCount, claim.seen?.direct ?? 0)
        )
    }

    // MARK: Living on

    /// Keeps the sessions of this node's sockets alive, until cancelled.
    ///
    /// A tenth of the duration: a killed node's sessions then have nine tenths of it left.
    func refreshForever() async {
        while !Task.isCancelled {
            let pause = Duration.milliseconds(max(50, min(self.durationMs / 10, 10_000)))
            do { try await Task.sleep(for: pause) } catch { return }
            await self.refresh()
        }
    }

    private func refresh() async {
        guard let server = self.link.server(), server.configuration.connectionStateRecovery != nil else { return }
        let sockets = server.recoverableSockets
        // Somebody has to find out that Redis is back.
        if sockets.isEmpty, self.state.withLock({ $0.isAway }) {
            _ = await self.call(RecoveryScripts.head, "/", keys: [], [])
        }
        for (namespace, members) in Dictionary(grouping: sockets, by: \.namespace.name) {
            if !self.state.withLock({ $0.prepared.contains(namespace) }) { await self.prepare(namespace) }
            var rest = members[...]
            while !rest.isEmpty {
                let batch = rest.prefix(Self.refreshBatch).compactMap { socket in socket.session.map { (socket, $0) } }
                rest = rest.dropFirst(Self.refreshBatch)
                await self.refresh(batch, namespace)
            }
        }
    }

    private func refresh(_ batch: [(Socket, RecoverySession)], _ namespace: String) async {
        let keys = self.keys(namespace)
        let reply = await self.call(
            RecoveryScripts.refresh,
            namespace,
            keys: batch.map { keys.session($0.1.pid) },
            [RedisArgument(self.durationMs)] + batch.map { RedisArgument($0.1.owner) }
        )
        guard let reply else { return }
        for ((socket, _), state) in zip(batch, reply.dropFirst(2)) {
            switch state.int {
            case 0:
                // Redis was emptied, or slower than a whole duration. The client's offsets are of another life or
                // before the new beginning: what it missed until now it cannot be sent.
                socket.withSession { session, data in self.write(session, data: data) }
            case 2:
                // The message about it was lost.
                socket.loseSession()
            default: break
            }
        }
    }
}
