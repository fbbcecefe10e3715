import Testing

@testable import Gateway

@Suite struct OriginPolicyTests {
    @Test(
        "A page of our own host may call us, and no other",
        arguments: [
            ("http://tickets.example", "tickets.example", true),
            ("https://tickets.example", "tickets.example", true),
            ("https://tickets.example:8443", "tickets.example:8443", true),
            ("https://tickets.example:8443", "tickets.example", false),
            ("https://tickets.example.evil.example", "tickets.example", false),
            ("https://evil.example", "tickets.example", false),
            ("https://evil.example, https://tickets.example", "tickets.example", false),
            ("tickets.example", "tickets.example", false),
            ("null", "tickets.example", false),
            ("null", "null", false),
            ("", "", false),
            ("https://", "", false),
        ]
    )
    func own(_ origin: String, _ host: String, _ isAllowed: Bool) {
        #expect(OriginPolicy(allowed: []).allows(origin, host: host) == isAllowed)
    }

    @Test("Without a Host nothing is our own")
    func withoutHost() {
        #expect(!OriginPolicy(allowed: []).allows("http://tickets.example", host: nil))
    }

    @Test("Listed origins are compared as a whole")
    func listed() {
        let policy = OriginPolicy(allowed: ["https://shop.example"])
        #expect(policy.allows("https://shop.example", host: "tickets.example"))
        #expect(!policy.allows("http://shop.example", host: "tickets.example"))
        #expect(!policy.allows("https://shop.example.evil.example", host: "tickets.example"))
        #expect(!policy.allows("https://evil.example", host: "tickets.example"))
    }

    @Test("A star allows every page that says who it is")
    func star() {
        let policy = OriginPolicy(allowed: ["*"])
        #expect(policy.allows("https://anywhere.example", host: nil))
        #expect(!policy.allows("null", host: "tickets.example"))
    }
}
