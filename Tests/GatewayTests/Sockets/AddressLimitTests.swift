import Testing

@testable import Gateway

@Suite struct AddressLimitTests {
    private let one = "192.0.2.1"
    private let other = "192.0.2.2"

    @Test("An address is full at its limit, and others are not")
    func limit() {
        let limit = AddressLimit(most: 2)
        limit.connected(one)
        #expect(!limit.isFull(one))
        limit.connected(one)
        #expect(limit.isFull(one))
        #expect(!limit.isFull(other))
        limit.disconnected(one)
        #expect(!limit.isFull(one))
    }

    @Test("Leaving more often than coming does no harm, and a peer without an address is let in")
    func odd() {
        let limit = AddressLimit(most: 1)
        limit.disconnected(one)
        limit.connected(one)
        #expect(limit.isFull(one))
        limit.connected(nil)
        #expect(!limit.isFull(nil))
    }
}
