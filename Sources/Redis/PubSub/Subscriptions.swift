import NIOCore

/// Which channels are wanted, which are confirmed, and who waits for the confirmation. Pure: no I/O, no clock.
///
/// Redis answers each channel of a `SUBSCRIBE` in order with `["subscribe", channel, count]`, so a confirmation is matched
/// by its channel. Wanted channels outlive connections; confirmations do not.
struct Subscriptions<Handler, Waiter> {
    private struct Subscription {
        var handler: Handler
        var isConfirmed = false
        var waiters: [Waiter] = []
    }

    private var channels: [String: Subscription] = [:]
    /// Channels whose confirmation the present connection owes.
    private var owed: Set<String> = []
    private(set) var isConnected = false
    /// True between a reconnect and the moment when all channels are confirmed again.
    private var isRestoring = false
    private var hasBeenConnected = false

    var names: [String] { Array(channels.keys) }

    func handler(_ channel: String) -> Handler? {
        channels[channel]?.handler
    }

    func waiterCount(_ channel: String) -> Int {
        channels[channel]?.waiters.count ?? 0
    }

    enum Request: Equatable {
        case send
        /// Sent by somebody before, or by the next connection.
        case wait
        case confirmed
    }

    /// One handler per channel: a later one replaces the earlier.
    mutating func subscribe(_ channel: String, _ handler: Handler, _ waiters: [Waiter]) -> Request {
        if channels[channel] != nil {
            channels[channel]?.handler = handler
            if channels[channel]?.isConfirmed == true { return .confirmed }
            channels[channel]?.waiters += waiters
        } else {
            channels[channel] = Subscription(handler: handler, waiters: waiters)
        }
        guard isConnected, owed.insert(channel).inserted else { return .wait }
        return .send
    }

    /// True when the present connection must be told. Its handler and those who still wait for it are returned.
    mutating func unsubscribe(_ channel: String) -> (mustSend: Bool, handler: Handler?, waiters: [Waiter]) {
        guard let subscription = channels.removeValue(forKey: channel) else { return (false, nil, []) }
        owed.remove(channel)
        return (isConnected, subscription.handler, subscription.waiters)
    }

    /// Channels have been elsewhere, or nowhere: messages may have been missed once what is owed is confirmed.
    mutating func mayHaveMissed() { isRestoring = true }

    /// The server says that a channel is over. True when nobody here asked for that and it must be subscribed to again.
    mutating func ended(_ channel: String) -> Bool {
        guard channels[channel]?.isConfirmed == true else { return false }
        channels[channel]?.isConfirmed = false
        isRestoring = true
        return isConnected && owed.insert(channel).inserted
    }

    /// The channels to subscribe to on a fresh connection, and whether nothing is left to restore.
    mutating func connected() -> (channels: [String], isRestored: Bool) {
        isConnected = true
        isRestoring = isRestoring || hasBeenConnected
        hasBeenConnected = true
        owed = Set(channels.keys)
        return (names, finishRestoring())
    }

    mutating func disconnected() {
        isConnected = false
        owed = []
        for channel in channels.keys { channels[channel]?.isConfirmed = false }
    }

    /// Who waited for this confirmation, and whether it was the last that a reconnect owed.
    mutating func confirmed(_ channel: String) -> (waiters: [Waiter], isRestored: Bool) {
        guard owed.remove(channel) != nil else { return ([], false) }
        channels[channel]?.isConfirmed = true
        let waiters = channels[channel]?.waiters ?? []
        channels[channel]?.waiters = []
        return (waiters, finishRestoring())
    }

    private mutating func finishRestoring() -> Bool {
        guard isRestoring, owed.isEmpty else { return false }
        isRestoring = false
        return true
    }

    /// Redis refused to subscribe (an ACL, say). Which channel it meant is not in the reply, so all that are owed fail.
    mutating func refused() -> [Waiter] {
        var waiters: [Waiter] = []
        for channel in owed { waiters += channels.removeValue(forKey: channel)?.waiters ?? [] }
        owed = []
        return waiters
    }

    mutating func removeAll() -> [Waiter] {
        defer { channels = [:] }
        return channels.values.flatMap(\.waiters)
    }

    /// Those who wait, for whichever channel; the channels stay wanted.
    mutating func takeWaiters() -> [Waiter] {
        var waiters: [Waiter] = []
        for channel in channels.keys {
            waiters += channels[channel]?.waiters ?? []
            channels[channel]?.waiters = []
        }
        return waiters
    }

    mutating func removeWaiters(_ channel: String, where isMeant: (Waiter) -> Bool) -> Bool {
        guard let count = channels[channel]?.waiters.count else { return false }
        channels[channel]?.waiters.removeAll(where: isMeant)
        return channels[channel]?.waiters.count != count
    }
}
