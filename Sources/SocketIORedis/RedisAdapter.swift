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
/// - Bounds: `maxQueuedMessages` messages wait for Redis; the oldest are dropped beyond, and the server is told.
package final class RedisAdapter: SocketAdapter, Service, Sendable {
    private static let maxQueuedMessages = 16_384
    private static let maxBatch = 512

    private struct Queue {
        var messages: [RedisCommand] = []
        var hasLost = false
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
            let (batch, hasLost) = self.queue.withLock { queue in
                let batch = Array(queue.messages.prefix(Self.maxBatch))
                queue.messages.removeFirst(batch.count)
                let hasLost = queue.hasLost
                queue.hasLost = false
                return (batch, hasLost)
            }
            if hasLost { self.missed() }
            if batch.isEmpty { return }
            do {
                _ = try await self.client.send(batch)
            } catch {
                AdapterMetrics.shared.failed(batch.count)
                self.logger.debug("broadcasts not published", metadata: ["redis.error": "\(error)"])
                if Task.isCancelled { return }
            }
        }
    }

    private func missed() { self.server.withLock { $0 }?.messagesMayBeMissed() }

    // MARK: SocketAdapter

    package func attached(to server: SocketIOServer) { self.server.withLock { $0 = server } }

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
        let command = RedisCommand("PUBLISH", RedisArgument(channel), RedisArgument(message.encode()))
        self.queue.withLock { queue in
            if queue.messages.count >= Self.maxQueuedMessages {
                queue.messages.removeFirst(Self.maxBatch)
                queue.hasLost = true
            }
            queue.messages.append(command)
        }
        AdapterMetrics.shared.published()
        self.wake.yield()
    }

    // MARK: Channels

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
