import Testing

@testable import SocketIO

/// Two connections of one node ask for one session, B behind A; at the store A's claim may be the later one.
@Suite struct SessionHoldersTests {
    private var holders = SessionHolders<String>()

    @Test("The one who asked last has it, and is told of no loss to the one overtaken")
    mutating func overtaken() {
        _ = holders.reserve("p", owner: "A")
        _ = holders.reserve("p", owner: "B")
        let b = holders.took("p", owner: "B", claim: 1)
        let a = holders.took("p", owner: "A", claim: 2)
        #expect(b && !a)
        let gone = holders.lost("p", by: 2)
        #expect(gone == nil)
        #expect(holders.isReserved("p", for: "B"), "it claims once more")
        let again = holders.took("p", owner: "B", claim: 3)
        holders.hold("p", owner: "B", claim: 3, "socket")
        #expect(again)
        #expect(holders.sockets == ["socket"])
    }

    @Test("Where word of the claim comes before its answer, the one overtaken gets it after all")
    mutating func wordFirst() {
        _ = holders.reserve("p", owner: "A")
        _ = holders.reserve("p", owner: "B")
        let b = holders.took("p", owner: "B", claim: 1)
        _ = holders.lost("p", by: 2)
        #expect(b && !holders.has("p", "B"))
        let a = holders.took("p", owner: "A", claim: 2)
        #expect(a && holders.has("p", "A"))
        #expect(!holders.isReserved("p", for: "A"))
    }

    @Test("A claim of another node takes it; word of an earlier one, or of one's own, does not")
    mutating func anotherNode() {
        holders.hold("p", owner: "A", claim: 4, "socket")
        let early = holders.lost("p", by: 3)
        let own = holders.lost("p", by: 4)
        let other = holders.lost("p", by: 5)
        #expect(early == nil && own == nil)
        #expect(other == "socket")
        #expect(holders.sockets.isEmpty)
    }

    @Test("Asking takes it from the socket that has it; who no longer has it releases nothing")
    mutating func reserving() {
        holders.hold("p", owner: "A", claim: 0, "socket")
        let old = holders.reserve("p", owner: "B")
        #expect(old == "socket")
        holders.release("p", owner: "A")
        #expect(holders.isReserved("p", for: "B"))
        holders.release("p", owner: "B")
        #expect(!holders.has("p", "B"))
    }
}
