import DequeModule
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
    }

    private struct Queue {
        var messages: Deque<Publication> = []
        /// Something was lost that the other nodes will be told of.
        var owesNotice = false
    }

    private let client: RedisClient
    private let channels: RoomChannels
    private let prefix: String
    private let logger: Logger
    private let server = Mutex<SocketIOServer?>(nil)
    private let queue = Mutex(Queue())
    private let signal: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    /// - Parameter prefix: begins every channel's name; the same for all nodes.
    package init(client: RedisClient, subscriber: RedisSubscriber, prefix: String, logger: Logger) {
        self.client = client
        self.prefix = prefix
        self.logger = logger
        self.channels = RoomChannels(subscriber: subscriber)
        // One pending signal is enough: who wakes takes all there is.
        (self.signal, self.wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        subscriber.onReconnect { [weak self] in self?.missed() }
    }

    /// Sends what is published until shutdown.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in self.signal { await self.sendQueued() }
        }
    }

    private func sendQueued() async {
        while true {
            let (batch, owesNotice) = self.queue.withLock { queue in
                let batch = Array(queue.messages.prefix(Self.maxBatch))
                queue.messages.removeFirst(batch.count)
                return (batch, queue.owesNotice)
            }
            if batch.isEmpty && !owesNotice { return }
            // Others hear that they missed something before they hear what comes after it.
            var commands = owesNotice ? [self.notice] : []
            commands += batch.map(\.command)
            do {
                let replies = try await self.client.send(commands)
                if owesNotice { self.queue.withLock { $0.owesNotice = false } }
                for (publication, reply) in zip(batch, replies.suffix(batch.count)) {
                    publication.received?(reply.int)
                }
            } catch {
                self.queue.withLock { $0.owesNotice = true }
                self.lost(batch)
                self.logger.debug("broadcasts not published", metadata: ["redis.error": "\(error)"])
                // The client has waited for a connection; when Redis refuses us at once, this is the pause.
                do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
            }
        }
    }

    private func lost(_ publications: some Sequence<Publication>) {
        var count = 0
        for publication in publications {
            publication.received?(nil)
            count += 1
        }
        AdapterMetrics.shared.failed(count)
    }

    /// Tells the other nodes that they may have missed messages of this one.
    private var notice: RedisCommand {
        let node = self.server.withLock { $0 }?.node ?? ""
        let message = ClusterMessage(node: node, namespace: "", rooms: [], except: [], operation: .missed)
        return RedisCommand("PUBLISH", RedisArgument(self.everybody), RedisArgument(message.encode()))
    }

    private func missed() { self.server.withLock { $0 }?.messagesMayBeMissed() }

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
        self.channels.unwant(self.channel(namespace))
    }

    package func opened(_ room: String, namespace: String) {
        self.channels.want(self.channel(namespace, room), self.receive)
    }

    package func closed(_ room: String, namespace: String) {
        self.channels.unwant(self.channel(namespace, room))
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
        let command = RedisCommand("PUBLISH", RedisArgument(channel), RedisArgument(message.encode()))
        let dropped = self.queue.withLock { queue -> [Publication] in
            queue.messages.append(Publication(command: command, received: received))
            guard queue.messages.count > Self.maxQueuedMessages else { return [] }
            let oldest = Array(queue.messages.prefix(Self.maxBatch))
            queue.messages.removeFirst(oldest.count)
            queue.owesNotice = true
            return oldest
        }
        if !dropped.isEmpty { self.lost(dropped) }
        AdapterMetrics.shared.published()
        self.wake.yield()
    }

    // MARK: Channels

    // A namespace begins with a slash: its channels are none of these.
    private var everybody: String { "\(self.prefix):all" }
    private func channel(node: String) -> String { "\(self.prefix):node:\(node)" }
    private func channel(_ namespace: String) -> String { "\(self.prefix):\(namespace)#" }
    private func channel(_ namespace: String, _ room: String) -> String { "\(self.prefix):\(namespace)#\(room)" }

    private var receive: @Sendable (ByteBuffer) -> Void {
        { [weak self] bytes in
            guard let message = ClusterMessage(decoding: bytes) else {
                AdapterMetrics.shared.malformed()
                return
            }
            AdapterMetrics.shared.received()
            self?.server.withLock { $0 }?.deliver(message)
        }
    }
}
