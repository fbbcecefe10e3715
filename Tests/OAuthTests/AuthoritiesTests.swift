import FoundationEssentials
import Testing

@testable import OAuth

@Suite struct AuthoritiesTests {
    private func authorities(_ sources: String...) throws -> Authorities {
        Authorities(
            try sources.map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) },
            clientID: "holdfast"
        )
    }

    @Test("Every usual way to write roles, groups and permissions comes to the same")
    func sources() throws {
        let found = try authorities(
            #"{"realm_access":{"roles":["b"]},"resource_access":{"holdfast":{"roles":["c"]},"other":{"roles":["x"]}}}"#,
            #"{"roles":["a","b"],"groups":["/staff","crew"],"scope":"openid tickets"}"#,
            #"{"role":"d","group":"one,two","permissions":["buy"],"scp":["sell"],"authorities":"refund"}"#
        )
        #expect(found.roles == ["a", "b", "c", "d"])
        #expect(found.groups == ["crew", "one", "staff", "two"])
        #expect(found.permissions == ["buy", "openid", "refund", "sell", "tickets"])
    }

    @Test("A role of another client is not ours")
    func otherClients() throws {
        #expect(try authorities(#"{"resource_access":{"other":{"roles":["admin"]}}}"#).roles.isEmpty)
    }

    @Test("A group counts however it is spelled, and a role of that name counts, too")
    func membership() throws {
        let found = try authorities(#"{"groups":["/staff"],"roles":["crew"]}"#)
        #expect(found.isIn("staff") && found.isIn("/Staff") && found.isIn("crew"))
        #expect(!found.isIn("staf") && !found.isIn("staffs") && !found.isIn(""))
    }

    @Test("Odd shapes, endless lists and control characters are left out")
    func hostile() throws {
        let many = (0..<500).map { "\"g\($0)\"" }.joined(separator: ",")
        let found = try authorities(
            #"{"roles":{"a":1},"groups":[\#(many)],"permissions":[1,null,{"a":2},"ok","a\u0000b",""]}"#,
            #"{"roles":7,"realm_access":[],"resource_access":"x"}"#,
            #"{"roles":["\#(String(repeating: "r", count: 300))"]}"#
        )
        #expect(found.roles.isEmpty)
        #expect(found.groups.count == Authorities.maxCount)
        #expect(found.permissions == ["ok"])
    }
}
