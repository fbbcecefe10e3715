import Testing

@testable import SocketIORedis

@Suite struct OwnBroadcastsTests {
    @Test("A broadcast whose call failed is delivered once, whether it comes back or not")
    func failed() {
        var own = OwnBroadcasts()
        let (one, two, three) = (own.begin(), own.begin(), own.begin())
        // It failed, and comes back: the call had run.
        let failedFirst = [own.failed(one), own.returned(one)]
        #expect(failedFirst == [true, false])
        // It comes back before its call fails.
        let cameFirst = [own.returned(two), own.failed(two)]
        #expect(cameFirst == [true, false])
        // Nothing fails.
        own.succeeded(three)
        let came = own.returned(three)
        #expect(came)
    }

    @Test("An origin names this node's broadcast, or is another's")
    func origins() {
        let origin = OwnBroadcasts.origin(node: "abc", 17)
        #expect(OwnBroadcasts.id(of: origin, node: "abc") == 17)
        #expect(OwnBroadcasts.id(of: origin, node: "abd") == nil)
        #expect(OwnBroadcasts.id(of: "abc", node: "abc") == nil)
        #expect(OwnBroadcasts.id(of: "", node: "abc") == nil)
    }
}
