import HoldfastCore
import Testing

@testable import Orders

@Suite struct WebhookSignatureTests {
    let now = ServerTime(millisecondsSinceEpoch: 1_800_000_000_000)
    let body = Array(#"{"id":"1"}"#.utf8)

    private func check(_ header: String, secret: String = "s") -> WebhookSignature.Check {
        WebhookSignature.check(header, body: body, secret: secret, now: now)
    }

    @Test("Our own signature is valid, with another secret it is not")
    func roundTrip() {
        let header = WebhookSignature.sign(body, secret: "s", at: now)
        #expect(check(header) == .valid)
        #expect(check(header, secret: "t") == .invalid)
    }

    @Test("A signature more than 300 s away is too old")
    func age() {
        #expect(check(WebhookSignature.sign(body, secret: "s", at: now + .seconds(-300))) == .valid)
        #expect(check(WebhookSignature.sign(body, secret: "s", at: now + .seconds(-301))) == .tooOld)
        #expect(check(WebhookSignature.sign(body, secret: "s", at: now + .seconds(301))) == .tooOld)
    }

    @Test("Anything else is invalid", arguments: ["", "t=1", "v1=00", "t=x,v1=00", "t=1800000000,v1=zz", "t,v1"])
    func malformed(_ header: String) { #expect(check(header) == .invalid) }
}
