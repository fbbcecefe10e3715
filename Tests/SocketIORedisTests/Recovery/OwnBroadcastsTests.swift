import Synchronization
import Testing

@testable import SocketIORedis

@Suite struct OwnBroadcastsTests {
    @Test("A broadcast whose call failed is delivered once, whether it comes back or not")
    func failed() {
        var own = OwnBroadcasts()
        let (one, two, three) = (own.begin(returningBy: "c"), own.begin(returningBy: "c"), own.begin(returningBy: "c"))
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

    @Test("What has to come behind broadcasts waits until all that were sent before it have come back, and no longer")
    func behind() {
        var own = OwnBroadcasts()
        let done = Mutex<[Int]>([])
        func ask(_ number: Int) -> Int? { own.wait { done.withLock { $0.append(number) } } }
        func run() -> [Int] {
            for action in own.takeReady() { action() }
            return done.withLock { $0 }
        }
        let elsewhere = own.begin(returningBy: nil)
        let nothing = ask(0)
        #expect(nothing == nil)
        let (one, two) = (own.begin(returningBy: "c"), own.begin(returningBy: "c"))
        _ = ask(1)
        let three = own.begin(returningBy: "c")
        let last = ask(2)
        _ = own.returned(two)
        let none = run()
        #expect(none == [])
        _ = own.returned(one)
        let first = run()
        #expect(first == [1])
        own.succeeded(elsewhere)
        own.succeeded(three)
        own.giveUp(on: last ?? 0)
        let both = run()
        #expect(both == [1, 2])
    }

    @Test("Nothing waits for a broadcast to a room that nobody here is in any more, or from before a lost connection")
    func notComing() {
        var own = OwnBroadcasts()
        let (left, kept) = (own.begin(returningBy: "left"), own.begin(returningBy: "kept"))
        _ = own.wait {}
        own.stoppedListening(to: "left")
        #expect(own.takeReady().isEmpty)
        _ = own.returned(kept)
        #expect(own.takeReady().count == 1)
        // It came after all: others are in the room again.
        let isNews = own.returned(left)
        #expect(isNews)

        _ = (own.begin(returningBy: "a"), own.begin(returningBy: "b"))
        _ = own.wait {}
        #expect(own.takeReady().isEmpty)
        own.giveUp()
        #expect(own.takeReady().count == 1)
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
