import SocketIOClient
import Testing

@Suite struct BackoffTests {
    @Test("Waits double from a second up to five, and a success starts them again")
    func doubles() {
        var backoff = Backoff()
        #expect((0..<4).map { _ in backoff.next(random: 0.5) } == [.seconds(1), .seconds(2), .seconds(4), .seconds(5)])
        backoff.reset()
        #expect(backoff.next(random: 0.5) == .seconds(1))
    }

    @Test("Chance moves a wait by at most half of it")
    func jitter() {
        var (early, late) = (Backoff(), Backoff())
        #expect(early.next(random: 0) == .milliseconds(500))
        #expect(late.next(random: 1) == .milliseconds(1_500))
    }

    @Test("A thousand failures do not overflow")
    func manyFailures() {
        var backoff = Backoff()
        for _ in 0..<1_000 { _ = backoff.next(random: 1) }
        #expect(backoff.next(random: 1) == .seconds(5))
    }
}

@Suite struct ServerAddressTests {
    @Test("http and ws mean port 80, https and wss 443, unless another is named")
    func ports() {
        #expect(ServerAddress("http://127.0.0.1:8080") == ServerAddress(host: "127.0.0.1", port: 8080))
        #expect(ServerAddress("ws://example.org/") == ServerAddress(host: "example.org", port: 80))
        #expect(ServerAddress("wss://example.org") == ServerAddress(host: "example.org", port: 443, isSecure: true))
        #expect(ServerAddress("HTTPS://[::1]:8443") == ServerAddress(host: "::1", port: 8443, isSecure: true))
        #expect(ServerAddress("http://a/live") == ServerAddress(host: "a", port: 80, path: "/live/"))
    }

    @Test(
        "What is no address of a server is refused",
        arguments: [
            "", "127.0.0.1:8080", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:99999", "http://a:x",
            "http://u@a", "http://a b",
        ]
    )
    func refused(_ url: String) { #expect(ServerAddress(url) == nil) }
}
