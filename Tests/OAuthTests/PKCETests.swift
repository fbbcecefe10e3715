import OAuth
import Testing

@Suite struct PKCETests {
    /// The example of RFC 7636, appendix B.
    @Test("A verifier gives the challenge of the standard's own example")
    func example() {
        let challenge = PKCE.challenge(of: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        #expect(challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test("What is too short, too long or has other characters is no verifier")
    func shapes() {
        #expect(PKCE.challenge(of: String(repeating: "a", count: 42)) == nil)
        #expect(PKCE.challenge(of: String(repeating: "a", count: 43)) != nil)
        #expect(PKCE.challenge(of: String(repeating: "a", count: 128)) != nil)
        #expect(PKCE.challenge(of: String(repeating: "a", count: 129)) == nil)
        #expect(PKCE.challenge(of: String(repeating: "a", count: 42) + " ") == nil)
    }
}
