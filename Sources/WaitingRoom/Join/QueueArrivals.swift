package import HoldfastCore
package import Logging
import NIOCore
package import Redis
import ServiceLifecycle

/// Tells this instance who has just taken a place, on whichever instance and whether over HTTP or a socket.
///
/// Somebody with a socket here is there: that socket is to report their presence, and to show their place, although the
/// place was taken elsewhere.
///
/// - Bounds: 256 groups of at most 500 people are remembered; beyond that the oldest are forgotten, and their presence
///   is what they ask for themselves.
package struct QueueArrivals: Service {
    package typealias Arrived = @Sendable (EventID, [UserID]) async -> Void

    private let subscriber: RedisSubscriber
    private let logger: Logger
    private let onArrived: Arrived
    private let unread = UnreadMessages(channel: "newcomers")

    package init(subscriber: RedisSubscriber, logger: Logger, onArrived: @escaping Arrived) {
        self.subscriber = subscriber
        self.logger = logger
        self.onArrived = onArrived
    }

    package func run() async throws {
        let (arrivals, sink) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(256))
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await subscriber.subscribe(WaitingRoomKeys.newcomers) { sink.yield(String(buffer: $0)) }
                    break
                } catch {
                    logger.debug("not listening to arrivals yet", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
            for await text in arrivals {
                if let (event, users) = Self.read(text) {
                    await onArrived(event, users)
                } else {
                    unread.passedOver(logger)
                }
            }
        }
        await subscriber.unsubscribe(WaitingRoomKeys.newcomers)
    }

    /// - Parameter text: `joined EVENT USER…`, as `QueueJoin.lua` publishes it.
    /// - Returns: nil for anything else.
    static func read(_ text: String) -> (event: EventID, users: [UserID])? {
        let words = text.split(separator: " ")
        guard words.count > 2, words[0] == "joined", let event = EventID(String(words[1])) else { return nil }
        return (event, words.dropFirst(2).compactMap { UserID(String($0)) })
    }
}
