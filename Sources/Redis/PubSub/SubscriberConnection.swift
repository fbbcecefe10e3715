import NIOCore

/// The present connection of a subscriber. Lives on its event loop.
final class SubscriberConnection: RESPReceiver {
    let endpoint: RedisEndpoint
    private let channel: any Channel
    private weak var owner: ChannelLink?
    private let closedPromise: EventLoopPromise<Void>
    private let interval: TimeAmount
    private let timeout: TimeAmount
    private var pingTimer: RepeatedTask?
    private var pongTimer: Scheduled<Void>?
    private var hasEnded = false

    init(_ connected: ConnectedChannel, owner: ChannelLink, closed: EventLoopPromise<Void>) {
        channel = connected.channel
        endpoint = connected.endpoint
        self.owner = owner
        closedPromise = closed
        interval = TimeAmount(owner.configuration.subscriberPingInterval)
        timeout = TimeAmount(owner.configuration.subscriberPingTimeout)
    }

    func start() {
        let connection = NIOLoopBound(self, eventLoop: channel.eventLoop)
        pingTimer = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            connection.value.ping()
        }
    }

    enum Verb: String { case subscribe = "SUBSCRIBE", unsubscribe = "UNSUBSCRIBE" }

    /// Channels go out in portions, so that a bulk of 10,000 makes neither one huge command nor 10,000 small ones. Sharded
    /// ones go one by one all the same: those of one command would have to be of one slot.
    func send(_ verb: Verb, _ channels: [String]) {
        guard !hasEnded, !channels.isEmpty else { return }
        let sharded = "S\(verb.rawValue)"
        var commands = channels.filter(HashSlot.isSharded).map { RedisCommand(sharded, RedisArgument($0)) }
        var rest = channels.filter { !HashSlot.isSharded($0) }[...]
        while !rest.isEmpty {
            commands.append(RedisCommand(verb.rawValue, arguments: rest.prefix(500).map { RedisArgument($0) }))
            rest = rest.dropFirst(500)
        }
        do {
            channel.writeAndFlush(try CommandFormatter.format(commands), promise: nil)
        } catch {
            end(error)
        }
    }

    /// Pub/Sub may be silent for hours, so only a question shows that a peer is gone without a word.
    private func ping() {
        guard !hasEnded, pongTimer == nil else { return }
        do {
            channel.writeAndFlush(try CommandFormatter.format([RedisCommand("PING")]), promise: nil)
        } catch {
            end(error)
            return
        }
        let connection = NIOLoopBound(self, eventLoop: channel.eventLoop)
        pongTimer = channel.eventLoop.scheduleTask(in: timeout) {
            connection.value.end(RedisError(.timeout, "Redis did not answer the subscriber's PING"))
        }
    }

    func received(_ reply: RESPValue) {
        guard !hasEnded else { return }
        // Anything at all proves that the peer lives, and a burst may well hold the answer back.
        pongTimer?.cancel()
        pongTimer = nil
        guard let message = PubSubMessage(reply) else {
            end(RedisError(.protocolViolation, "Redis sent a subscriber what is no Pub/Sub message"))
            return
        }
        owner?.received(message)
    }

    func receivedAll() {}

    func closed(_ error: RedisError) {
        end(error)
    }

    func end(_ error: RedisError) {
        guard !hasEnded else { return }
        hasEnded = true
        pingTimer?.cancel()
        pongTimer?.cancel()
        pongTimer = nil
        channel.close(promise: nil)
        owner?.disconnected()
        closedPromise.succeed()
    }
}
