import Foundation
import HoldfastCore
import NIOCore
import Seating
import Testing

@testable import Gateway

@Suite struct SelectionPayloadTests {
    private static let floor = SeatID(section: "Floor \"A\" \\ ü", row: 2, number: 3)
    private static let standing = [
        SeatID(section: "Pit", row: 0, number: 7),
        SeatID(section: "Bar", row: 0, number: 1),
    ]
    private static let held = Selection(
        seats: [floor] + standing,
        given: [floor],
        expiresAt: ServerTime(millisecondsSinceEpoch: 1_800_000_000_123),
        fence: Fence(epoch: 3, counter: 41),
        extensionsLeft: 1,
        seq: 12
    )
    private static let nothing = Selection(seats: [], expiresAt: nil, fence: nil, extensionsLeft: 2, seq: 9)

    @Test(
        "An answer over a socket has the fields and values of the one over HTTP",
        arguments: [
            SelectionPayload(held), SelectionPayload(held, wanted: [floor]), SelectionPayload(nothing, wanted: []),
            SelectionPayload(held, wanted: [SeatID(section: "B", row: 1, number: 1)], showsGiven: true),
        ]
    )
    func isTheEncoders(_ payload: SelectionPayload) throws {
        let written = try JSONSerialization.jsonObject(with: Data(payload.json.readableBytesView))
        let encoded = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(payload))
        #expect(try #require(written as? NSDictionary) == #require(encoded as? NSDictionary))
    }
}
