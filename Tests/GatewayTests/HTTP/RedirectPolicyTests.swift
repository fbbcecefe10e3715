import Testing

@testable import Gateway

@Suite struct RedirectPolicyTests {
    private let origins = OriginPolicy(allowed: ["https://shop.example"])

    @Test("With a list every letter counts")
    func listed() {
        let policy = RedirectPolicy(listed: ["https://a.example/in?x=1"], origins: origins)
        #expect(policy.allows("https://a.example/in?x=1", host: "a.example"))
        for other in [
            "https://a.example/in", "https://a.example/in?x=1&y", "https://A.example/in?x=1",
            "https://shop.example/in", "https://a.example/in?x=1#",
        ] {
            #expect(!policy.allows(other, host: "a.example"), "\(other)")
        }
        #expect(policy.usual(host: "other.example") == "https://a.example/in?x=1")
    }

    @Test("Without one it is our own pages and those of CORS_ORIGINS, and no look-alikes")
    func unlisted() {
        let policy = RedirectPolicy(listed: [], origins: origins)
        #expect(policy.allows("http://127.0.0.1:8080/in", host: "127.0.0.1:8080"))
        #expect(policy.allows("https://shop.example/in", host: "127.0.0.1:8080"))
        for other in [
            "http://127.0.0.1:8081/in", "http://127.0.0.1:8080@evil.example/", "https://shop.example.evil/",
            "//127.0.0.1:8080/in", "/in", "javascript:alert(1)", "http://127.0.0.1:8080\\@evil.example/", "null",
        ] {
            #expect(!policy.allows(other, host: "127.0.0.1:8080"), "\(other)")
        }
        #expect(policy.usual(host: "127.0.0.1:8080") == "http://127.0.0.1:8080/oauth/callback")
        #expect(policy.usual(host: "shop.example") == "https://shop.example/oauth/callback")
        #expect(policy.usual(host: nil) == nil)
    }
}
