import Foundation
import HoldfastCore
import Seating
import SocketIO
import Testing

@testable import Gateway

@Suite struct SelectionJSONTests {
    private static let odd = SeatID("Säule \"7\" \\-1-2")
    private static let plain = SeatID(section: "A", row: 1, number: 2)
    private static let place = SeatID(section: "Floor", row: 0, number: 17)

    private static let held = Selection(
        seats: [plain, place] + [odd].compactMap { $0 },
        given: [plain],
        expiresAt: ServerTime(millisecondsSinceEpoch: 1_900_000_000_123),
        fence: Fence(epoch: 3, counter: 9_007_199_254_740_993),
        extensionsLeft: 1,
        seq: 42
    )
    private static let none = Selection(seats: [], expiresAt: nil, fence: nil, extensionsLeft: 2, seq: 1)

    @Test(
        "What is written by hand is what Codable writes",
        arguments: [
            SelectionPayload(held), SelectionPayload(none), SelectionPayload(held, wanted: []),
            SelectionPayload(held, wanted: [SeatID(section: "B", row: 9, number: 9)], showsGiven: true),
        ]
    )
    func same(_ payload: SelectionPayload) throws {
        let byHand = try JSONSerialization.jsonObject(with: Data(payload.json.string.utf8)) as? NSDictionary
        let byCodable = try JSONSerialization.jsonObject(with: JSONEncoder().encode(payload)) as? NSDictionary
        #expect(byHand != nil)
        #expect(byHand == byCodable)
    }
}
