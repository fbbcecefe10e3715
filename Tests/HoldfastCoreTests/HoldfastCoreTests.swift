import Foundation
import HoldfastCore
import Testing

@Suite struct ServerTimeTests {
    @Test(
        "A time is written in UTC with exactly three digits of milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_800_000_000_123, "2027-01-15T08:00:00.123Z"),
            (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] as [(Int64, String)]
    )
    func writesMilliseconds(_ milliseconds: Int64, _ text: String) {
        #expect(ServerTime(millisecondsSinceEpoch: milliseconds).iso8601 == text)
        #expect(ServerTime(iso8601: text)?.millisecondsSinceEpoch == milliseconds)
    }

    @Test("A time without a fraction is read too, and nonsense is not")
    func readsLeniently() {
        #expect(ServerTime(iso8601: "2027-01-15T10:00:00Z")?.iso8601 == "2027-01-15T10:00:00.000Z")
        #expect(ServerTime(iso8601: "yesterday") == nil)
        #expect(ServerTime(iso8601: "") == nil)
    }
}

@Suite struct IdentifierTests {
    @Test("A user id that could break out of a Redis hash tag or a log line is refused")
    func refusesDangerousUserIDs() {
        #expect(UserID("fan-1@example.org") != nil)
        for text in ["", "a b", "a}b", "{a", "a\nb", "ü", String(repeating: "a", count: 65)] {
            #expect(UserID(text) == nil, "\(text)")
        }
    }

    @Test("An event id is one lower-case UUID however it was written")
    func normalisesEventIDs() {
        let id = EventID()
        #expect(EventID(id.rawValue.uppercased()) == id)
        #expect(EventID("not-a-uuid") == nil)
        #expect(EventID(id.rawValue + "0") == nil)
    }
}

@Suite struct FenceTests {
    @Test("A grant of a later life of Redis ranks above every grant of an earlier one")
    func ordersByEpochFirst() {
        #expect(Fence(epoch: 1, counter: 9_999) < Fence(epoch: 2, counter: 1))
        #expect(Fence("3.12") == Fence(epoch: 3, counter: 12))
        for text in ["", "3", "3.", ".1", "3.1.2", "-1.2", "a.b"] { #expect(Fence(text) == nil) }
    }
}

@Suite struct ProblemTests {
    @Test("Every problem has a status of the contract and a title")
    func everyCodeIsWhole() {
        let allowed: Set = [400, 401, 402, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 500, 503]
        for code in ProblemCode.allCases {
            #expect(allowed.contains(code.status), "\(code.rawValue)")
            #expect(!code.title.isEmpty)
        }
    }
}
