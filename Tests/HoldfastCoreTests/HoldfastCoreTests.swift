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
        #expect(EventID("0b6d5a1e-7a7b-4b52-9f0e-6a7d3a1c2e4g") == nil)
        #expect(EventID("0b6d5a1e07a7b-4b52-9f0e-6a7d3a1c2e4f") == nil)
        #expect(EventID("0b6d5a1e--a7b-4b52-9f0e-6a7d3a1c2e4f") == nil)
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
    private struct Reference: Decodable {
        struct Components: Decodable { let schemas: Schemas }
        struct Schemas: Decodable {
            let problem: Schema
            enum CodingKeys: String, CodingKey { case problem = "Problem" }
        }
        struct Schema: Decodable { let properties: Properties }
        struct Properties: Decodable { let code: Code }
        struct Code: Decodable { let `enum`: [String] }

        let components: Components
    }

    @Test("Every problem has a status of the contract and a title")
    func everyCodeIsWhole() {
        let allowed: Set = [400, 401, 402, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 431, 500, 503]
        for code in ProblemCode.allCases {
            #expect(allowed.contains(code.status), "\(code.rawValue)")
            #expect(!code.title.isEmpty)
        }
    }

    @Test("Every refusal says what to do next, in a sentence of its own", arguments: ProblemCode.allCases)
    func everyCodeHasANextStep(_ code: ProblemCode) {
        #expect(code.nextStep.count > 10 && code.nextStep.hasSuffix("."))
        #expect(code.nextStep.split(separator: " ").count > 2)
        #expect(code.nextStep != code.title)
    }

    @Test("The reference lists every code under its status, and openapi.json no other")
    func referenceListsEveryCode() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let text = try String(contentsOf: root.appending(path: "docs/api.md"), encoding: .utf8)
        for code in ProblemCode.allCases {
            let row = text.split(separator: "\n").first { $0.hasPrefix("| \(code.status) |") }
            #expect(row?.contains("`\(code.rawValue)`") == true, "\(code.rawValue) is not in the table of docs/api.md")
        }
        let file = try Data(contentsOf: root.appending(path: "Web/openapi.json"))
        let reference = try JSONDecoder().decode(Reference.self, from: file)
        let listed = reference.components.schemas.problem.properties.code.enum
        #expect(Set(listed) == Set(ProblemCode.allCases.map(\.rawValue)))
    }
}
