import FoundationEssentials
package import HoldfastCore
package import Logging
import NIOCore
package import Redis
import ServiceLifecycle

/// Hears of ended sessions, so that an instance can close their sockets.
///
/// Pub/Sub loses messages. When the connection was lost, or could not be made at first, `onGap` says that all local
/// sockets' sessions should be looked at once (``Sessions/liveness(of:)``); and that look is repeated every 5 seconds
/// anyway by whoever owns the sockets.
package struct SessionWatcher: Service {
    private let subscriber: RedisSubscriber
    private let logger: Logger
    private let onEnded: @Sendable (SessionEnded) -> Void
    private let onAccountChanged: @Sendable (UserID) -> Void
    private let onGap: @Sendable () -> Void
    private let unreadEndings = UnreadMessages(channel: "sessions")
    private let unreadAccounts = UnreadMessages(channel: "accounts")

    /// - Parameters:
    ///   - onEnded: runs on the subscriber's event loop and must not block.
    ///   - onAccountChanged: likewise; an account was disabled, or may do something else than before.
    ///   - onGap: likewise.
    package init(
        subscriber: RedisSubscriber,
        logger: Logger,
        onEnded: @escaping @Sendable (SessionEnded) -> Void,
        onAccountChanged: @escaping @Sendable (UserID) -> Void = { _ in },
        onGap: @escaping @Sendable () -> Void
    ) {
        self.subscriber = subscriber
        self.logger = logger
        self.onEnded = onEnded
        self.onAccountChanged = onAccountChanged
        self.onGap = onGap
    }

    package func run() async throws {
        subscriber.onReconnect(onGap)
        await cancelWhenGracefulShutdown {
            var isFirst = true
            while !Task.isCancelled {
                do {
                    try await self.subscriber.subscribe(SessionsKeys.endedChannel) { message in self.hear(message) }
                    try await self.subscriber.subscribe(SessionsKeys.accountChannel) { message in
                        self.hearOfAccount(String(decoding: message.readableBytesView, as: UTF8.self))
                    }
                    if !isFirst { self.onGap() }
                    break
                } catch {
                    isFirst = false
                    self.logger.debug("not listening to ended sessions yet", metadata: ["error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
            // Nothing more to do here but to stay: handlers run on the subscriber's event loop.
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
        }
        await subscriber.unsubscribe(SessionsKeys.endedChannel)
        await subscriber.unsubscribe(SessionsKeys.accountChannel)
    }

    private func hear(_ message: ByteBuffer) {
        guard let ended = SessionEnded(message: Array(message.readableBytesView)) else {
            unreadEndings.passedOver(logger)
            return
        }
        onEnded(ended)
    }

    private func hearOfAccount(_ text: String) {
        guard text.hasPrefix(SessionsKeys.accountChanged),
            let user = UserID(String(text.dropFirst(SessionsKeys.accountChanged.count)))
        else { return unreadAccounts.passedOver(logger) }
        onAccountChanged(user)
    }
}

extension SessionEnded {
    private struct Message: Decodable {
        let v: Int
        let user: UserID
        let handle: SessionHandle
        let reason: SessionEndReason
    }

    /// - Shape: `{"v": 1, "user": U, "handle": H, "reason": R}`, as the scripts write it.
    init?(message: [UInt8]) {
        guard message.count <= 1_024, let read = try? JSONDecoder().decode(Message.self, from: Data(message)),
            read.v == 1
        else { return nil }
        self.init(user: read.user, handle: read.handle, reason: read.reason)
    }
}
