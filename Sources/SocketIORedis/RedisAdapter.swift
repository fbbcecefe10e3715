import DequeModule
import EngineIO
package import Logging
import NIOCore
package import Redis
import ServiceLifecycle
package import SocketIO
import Synchronization

/// Joins the servers of several processes through Redis Pub/Sub.
///
/// A room has a channel of its own, subscribed while it has local members; a namespace has one for everything that
/// is not for one room. A broadcast is one PUBLISH, whatever the number of sockets. Pub/Sub loses messages when a
/// connection breaks: the server is told, so that the layer above reads the truth again.
///
/// Messages leave in the order in which they were published: one batch is under way at a time, as one pipeline.
///
/// What could not be published is lost for the other nodes: they are told as soon as Redis is back.
///
/// A question to all nodes is one PUBLISH, whose reply says how many got it; answers come on the asker's own channel.
///
/// - Bounds: `maxQueuedMessages` messages wait for Redis; the oldest are dropped beyond, and the other nodes are told.
package final class RedisAdapter: SocketAdapter, Service, Sendable {
    private static let maxQueuedMessages = 16_384
    private static let maxBatch = 512

    private struct Publication {
        let command: RedisCommand
        /// Told how many nodes got it, or that it was lost.
        var received: (@Sendable (Int?) -> Void)?
        /// Instead of a plain command: a script, and who is told its reply.
        var script: (call: RedisScriptCall, completed: @Sendable (Result<RESPValue, RedisError>) -> Void)?
    }

    private struct Queue {
        var messages: Deque<Publication> = []
        /// Something was lost that the other nodes will be told of.
        var owesNotice = false
        var isClosed = false
        /// Redis knows the scripts, unless it has lost them since.
        var hasLoadedScripts = false
    }

    private let client: RedisClient
    private let channels: RoomChannels
    private let prefix: String
    private let logger: Logger
    private let server = Mutex<SocketIOServer?>(nil)
    private let queue = Mutex(Queue())
    private let executor: LoopTaskExecutor
    private let signal: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let recoveryStore = Mutex<RedisRecoveryStore?>(nil)
    private let stores: AsyncStream<RedisRecoveryStore>
    private let newStore: AsyncStream<RedisRecoveryStore>.Continuation

    /// - Parameter prefix: begins every channel's name; the same for all nodes.
    package init(client: RedisClient, subscriber: RedisSubscriber, prefix: String, logger: Logger) {
        self.client = client
        self.prefix = prefix
        self.logger = logger
        self.channels = RoomChannels(subscriber: subscriber)
        self.executor = LoopTaskExecutor(client.eventLoop)
        // One pending signal is enough: who wakes takes all there is.
        (self.signal, self.wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        // There is one at most.
        (self.stores, self.newStore) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        subscriber.onReconnect { [weak self] in self?.missed() }
    }

    /// Sends what is published until shutdown.
    ///
    /// On the event loop: what one of its ticks publishes is then one batch, which the other nodes receive and deliver
    /// together. A thread of its own would wake at the first message and send that alone.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask(executorPreference: self.executor) {
                    for await _ in self.signal { await self.sendQueued() }
                }
                group.addTask { for await store in self.stores { await store.refreshForever() } }
            }
        }
        // The last words of sockets that were closed a moment ago.
        if !Task.isCancelled { await self.sendQueued(isLast: true) }
        let rest = self.queue.withLock { queue in
            queue.isClosed = true
            defer { queue.messages = [] }
            return queue.messages
        }
        self.lost(rest, RedisError(.shutDown, "the adapter is closed"))
    }

    private func sendQueued(isLast: Bool = false) async {
        while true {
            let (batch, owesNotice, hasLoadedScripts) = self.queue.withLock { queue in
                let batch = Array(queue.messages.prefix(Self.maxBatch))
                queue.messages.removeFirst(batch.count)
                return (batch, queue.owesNotice, queue.hasLoadedScripts)
            }
            if batch.isEmpty && !owesNotice { return }
            // Others hear that they missed something before they hear what comes after it.
            var commands = owesNotice ? [self.notice] : []
            // A call that Redis does not know would run behind those that follow it.
            let loadsScripts = !hasLoadedScripts && batch.contains { $0.script != nil }
            if loadsScripts { commands += RecoveryScripts.all.map(\.load) }
            commands += batch.map(\.command)
            do {
                let replies = try await self.client.send(commands)
                self.queue.withLock { queue in
                    if owesNotice { queue.owesNotice = false }
                    if loadsScripts { queue.hasLoadedScripts = true }
                }
                await self.tell(batch, Array(replies.suffix(batch.count)))
            } catch {
                self.queue.withLock { queue in
                    queue.owesNotice = true
                    // It may have been started anew.
                    queue.hasLoadedScripts = false
                }
                self.lost(batch, error)
                self.logger.debug("broadcasts not published", metadata: ["redis.error": "\(error)"])
                if isLast { return }
                // The client has waited for a connection; when Redis refuses us at once, this is the pause.
                do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
            }
        }
    }

    /// Tells the replies. Scripts that Redis has forgotten are sent again with their source, behind the others.
    private func tell(_ batch: [Publication], _ replies: [RESPValue]) async {
        var unknown: [(script: RedisScriptCall, completed: @Sendable (Result<RESPValue, RedisError>) -> Void)] = []
        for (publication, reply) in zip(batch, replies) {
            publication.received?(reply.int)
            guard let (call, completed) = publication.script else { continue }
            if reply.failure?.serverError?.kind == .noScript {
                unknown.append((call, completed))
            } else {
                completed(.success(reply))
            }
        }
        guard !unknown.isEmpty else { return }
        self.queue.withLock { $0.hasLoadedScripts = false }
        do {
            let again = try await self.client.send(unknown.map(\.script.bySource))
            for (call, reply) in zip(unknown, again) { call.completed(.success(reply)) }
        } catch {
            for call in unknown { call.completed(.failure(error)) }
        }
    }

    private func lost(_ publications: some Sequence<Publication>, _ error: RedisError) {
        var count = 0
        for publication in publications {
            publication.received?(nil)
            publication.script?.completed(.failure(error))
            count += 1
        }
        AdapterMetrics.shared.failed(count)
    }

    /// Tells the other nodes that they may have missed messages of this one.
    private var notice: RedisCommand {
        let node = self.server.withLock { $0 }?.node ?? ""
        let message = ClusterMessage(node: node, namespace: "", rooms: [], except: [], operation: .missed)
        return .publish(RedisArgument(message.encode()), to: self.everybody)
    }

    private func missed() {
        self.recoveryStore.withLock { $0 }?.missedMessages()
        self.server.withLock { $0 }?.messagesMayBeMissed()
    }

    // MARK: SocketAdapter

    package func attached(to server: SocketIOServer) {
        self.server.withLock { $0 = server }
        self.channels.want(self.everybody, self.receive)
        self.channels.want(self.channel(node: server.node), self.receive)
    }

    package func readyForAnswers() async {
        guard let node = self.server.withLock({ $0 })?.node else { return }
        await self.channels.ready(self.channel(node: node))
    }

    package func opened(namespace: String) {
        self.channels.want(self.channel(namespace), self.receive)
    }

    package func closed(namespace: String) {
        self.recoveryStore.withLock { $0 }?.closed(namespace)
        self.channels.unwant(self.channel(namespace))
    }

    package func opened(_ room: String, namespace: String) {
        self.channels.want(self.channel(namespace, room), self.receive)
    }

    package func closed(_ room: String, namespace: String) {
        let channel = self.channel(namespace, room)
        self.channels.unwant(channel)
        self.recoveryStore.withLock { $0 }?.stoppedListening(to: channel)
    }

    package func ready(_ room: String, namespace: String) async {
        await self.channels.ready(self.channel(namespace, room))
    }

    package func publish(_ message: ClusterMessage) {
        // A socket's own room has no channel: what is sent to one goes to all nodes. So does what is for several rooms.
        let isForOneRoom = message.rooms.count == 1 && message.isBroadcast && !message.mayBeForOneSocket
        let channel = isForOneRoom ? self.channel(message.namespace, message.rooms[0]) : self.channel(message.namespace)
        self.publish(message, on: channel)
    }

    package func ask(_ message: ClusterMessage, received: @escaping @Sendable (Int?) -> Void) {
        self.publish(message, on: self.channel(message.namespace), received: received)
    }

    package func answer(_ message: ClusterMessage, to node: String) {
        self.publish(message, on: self.channel(node: node))
    }

    private func publish(
        _ message: ClusterMessage,
        on channel: String,
        received: (@Sendable (Int?) -> Void)? = nil
    ) {
        let command = RedisCommand.publish(RedisArgument(message.encode()), to: channel)
        self.enqueue(Publication(command: command, received: received))
        AdapterMetrics.shared.published()
    }

    private func enqueue(_ publication: Publication) {
        let dropped = self.queue.withLock { queue -> [Publication] in
            if queue.isClosed { return [publication] }
            queue.messages.append(publication)
            guard queue.messages.count > Self.maxQueuedMessages else { return [] }
            let oldest = Array(queue.messages.prefix(Self.maxBatch))
            queue.messages.removeFirst(oldest.count)
            queue.owesNotice = true
            return oldest
        }
        if !dropped.isEmpty { self.lost(dropped, RedisError(.overloaded, "too many messages wait for Redis")) }
        self.wake.yield()
    }

    // MARK: Recovery

    package var recovery: (any RecoveryStore)? {
        self.recoveryStore.withLock { store in
            if let store { return store }
            let made = RedisRecoveryStore(
                prefix: self.prefix,
                logger: self.logger,
                link: RedisRecoveryStore.Link(
                    send: { [weak self] call, completed in
                        guard let self else {
                            return completed(.failure(RedisError(.shutDown, "the adapter is gone")))
                        }
                        self.enqueue(Publication(command: call.byDigest, script: (call, completed)))
                    },
                    channel: { [weak self] namespace, rooms in self?.channel(namespace, rooms) ?? "" },
                    listens: { [weak self] channel in self?.channels.isWanted(channel) ?? false },
                    ready: { [weak self] namespace in
                        guard let self else { return }
                        await self.channels.ready(self.channel(namespace))
                    },
                    server: { [weak self] in self?.server.withLock { $0 } }
                )
            )
            store = made
            self.newStore.yield(made)
            return made
        }
    }

    /// Where a numbered broadcast goes: to its room's channel if it is for one room, unless this node is just about to
    /// subscribe to it.
    private func channel(_ namespace: String, _ rooms: [String]) -> String {
        guard rooms.count == 1, !SessionID.isPlausible(rooms[0]) else { return self.channel(namespace) }
        let channel = self.channel(namespace, rooms[0])
        return self.channels.isSettled(channel) ? channel : self.channel(namespace)
    }

    private func receive(_ notice: RecoveryNotice, _ server: SocketIOServer) {
        switch notice {
        case .broadcast(let message, let namespace, let origin):
            let store = self.recoveryStore.withLock { $0 }
            store?.received(message, namespace: namespace, origin: origin, server)
        case .taken(let pid, let claim): server.sessionLost(pid, by: claim)
        }
    }

    // MARK: Channels

    // A namespace begins with a slash: its channels are none of these. In a cluster all channels and keys of a namespace
    // share a hash slot: its messages stay in order, its scripts publish on its channels, and what PUBLISH would have
    // answered for one node alone, how many listen, is true for all.
    private var everybody: String { "\(self.prefix):{all}" }
    private func channel(node: String) -> String { "\(self.prefix):{node:\(node)}" }
    private func channel(_ namespace: String) -> String { "\(self.prefix):{\(namespace)}#" }
    private func channel(_ namespace: String, _ room: String) -> String { "\(self.prefix):{\(namespace)}#\(room)" }

    private var receive: @Sendable (ByteBuffer) -> Void {
        { [weak self] bytes in
            if let notice = RecoveryNotice(bytes) {
                AdapterMetrics.shared.received()
                if let self, let server = self.server.withLock({ $0 }) { self.receive(notice, server) }
                return
            }
            guard let message = ClusterMessage(decoding: bytes) else {
                AdapterMetrics.shared.malformed()
                return
            }
            AdapterMetrics.shared.received()
            self?.server.withLock { $0 }?.deliver(message)
        }
    }
}
