import NIOCore
import Testing

@testable import Redis

struct SubscriptionsTests {
    private var subscriptions = Subscriptions<String, Int>()

    @Test("A channel wanted before the connection is subscribed to with it and confirmed once")
    mutating func early() {
        #expect(subscriptions.subscribe("a", "h", [1]) == .wait)
        #expect(subscriptions.connected().channels == ["a"])
        #expect(subscriptions.subscribe("a", "h2", [2]) == .wait, "the first request covers both")
        let (waiters, isRestored) = subscriptions.confirmed("a")
        #expect(waiters == [1, 2])
        #expect(!isRestored, "the first connection is no reconnect")
        #expect(subscriptions.subscribe("a", "h3", [3]) == .confirmed)
        #expect(subscriptions.handler("a") == "h3")
    }

    @Test("A reconnect is restored when the last channel is confirmed, and not before")
    mutating func restored() {
        _ = subscriptions.connected()
        #expect(subscriptions.subscribe("a", "h", [1]) == .send)
        #expect(subscriptions.subscribe("b", "h", [2]) == .send)
        _ = subscriptions.confirmed("a")
        _ = subscriptions.confirmed("b")
        subscriptions.disconnected()
        let (channels, isRestored) = subscriptions.connected()
        #expect(Set(channels) == ["a", "b"])
        #expect(!isRestored)
        #expect(!subscriptions.confirmed("a").isRestored)
        #expect(subscriptions.confirmed("b").isRestored)
    }

    @Test("A reconnect without channels is restored at once")
    mutating func nothingToRestore() {
        #expect(!subscriptions.connected().isRestored)
        subscriptions.disconnected()
        #expect(subscriptions.connected().isRestored)
    }

    @Test("A channel that is given up has no handler, and is not wanted after a reconnect")
    mutating func unsubscribed() {
        _ = subscriptions.connected()
        _ = subscriptions.subscribe("a", "h", [1])
        let (mustSend, _, waiters) = subscriptions.unsubscribe("a")
        #expect(mustSend)
        #expect(waiters == [1])
        #expect(subscriptions.handler("a") == nil)
        subscriptions.disconnected()
        #expect(subscriptions.connected().channels.isEmpty)
    }

    @Test("Replies to a subscriber are told apart, and nonsense is refused")
    func messages() {
        func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }
        #expect(
            PubSubMessage(.array([bulk("message"), bulk("c"), bulk("m")]))
                == .message(channel: "c", ByteBuffer(string: "m"))
        )
        #expect(PubSubMessage(.array([bulk("subscribe"), bulk("c"), .integer(1)])) == .subscribed("c"))
        #expect(PubSubMessage(.array([bulk("pong"), bulk("")])) == .pong)
        #expect(PubSubMessage(.array([bulk("message"), bulk("c")])) == nil)
        #expect(PubSubMessage(.array([])) == nil)
        #expect(PubSubMessage(.integer(1)) == nil)
    }
}
