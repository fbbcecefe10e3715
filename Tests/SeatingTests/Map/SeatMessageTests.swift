import HoldfastCore
import NIOCore
import Testing

@testable import Seating

@Suite struct SeatMessageTests {
    @Test("A change carries the bytes that browsers get")
    func change() throws {
        let payload = ByteBuffer(string: "{\"seq\":12}")
        let nobody = SeatMessage(ByteBuffer(string: "f12\n\n\n{\"seq\":12}"))
        #expect(nobody == .change(.released, seq: 12, payload: payload))
        let ann = SeatActor(user: try #require(UserID("ann")), connection: "tab-1")
        let message = SeatMessage(ByteBuffer(string: "l12\nann\ntab-1\n{\"seq\":12}"))
        #expect(message == .change(.locked, seq: 12, payload: payload, by: ann))
        #expect(SeatMessage(ByteBuffer(string: "eann\ntab-1")) == .extended(by: ann))
    }

    @Test(
        "A notice names its holder, the seats, and why they are gone",
        arguments: [("x", .expired), ("t", .lost), ("b", .blocked)] as [(String, SeatMessage.HoldEnd)]
    )
    func notice(_ kind: String, _ why: SeatMessage.HoldEnd) throws {
        let seat = try #require(SeatID("VIP-1-1"))
        let user = try #require(UserID("ann"))
        let end = ServerTime(millisecondsSinceEpoch: 1500)
        let message = SeatMessage(ByteBuffer(string: "\(kind)\(user)\n1500\n[\"VIP-1-1\"]"))
        #expect(message == .holdExpired(user: user, seats: [seat], expiresAt: end, why: why))
    }

    @Test("One publication carries all that an action says, in order; what is unknown among it hides nothing else")
    func several() throws {
        let text = "f12\n\n\n{\"seq\":12}\u{1E}q1\u{1E}l13\nann\n\n{\"seq\":13}"
        let ann = SeatActor(user: try #require(UserID("ann")), connection: "")
        let messages = SeatMessage.all(in: ByteBuffer(string: text))
        #expect(
            messages == [
                .change(.released, seq: 12, payload: ByteBuffer(string: "{\"seq\":12}")), nil,
                .change(.locked, seq: 13, payload: ByteBuffer(string: "{\"seq\":13}"), by: ann),
            ]
        )
        #expect(SeatMessage.all(in: ByteBuffer()).isEmpty)
    }

    @Test(
        "Unknown and cut messages are passed over",
        arguments: ["", "l", "l12", "l12\nann\n{}", "lx\n\n\n{}", "e\nx", "q1\n{}", "x\n", "xann\n5\n[1", "z"]
    )
    func unknown(_ text: String) { #expect(SeatMessage(ByteBuffer(string: text)) == nil) }
}
