import HoldfastCore
import Testing

@testable import Sessions

@Suite struct SecretRingTests {
    private let a = SessionsHarness.secretA
    private let b = SessionsHarness.secretB

    @Test("Short, malformed, doubled and missing keys are refused", arguments: ["", "AAAA", "not base64!", ","])
    func refused(text: String) {
        #expect(throws: SecretError.self) { try SecretRing(text) }
    }

    @Test("One key twice is refused")
    func doubled() { #expect(throws: SecretError.self) { try SecretRing("\(a),\(a)") } }

    @Test("Nothing of a secret shows in its description")
    func silent() throws {
        let ring = try SecretRing(a)
        #expect("\(ring)" == "SecretRing(1 keys)")
        #expect(String(reflecting: ring) == "SecretRing(1 keys)")
    }

    @Test("What an older secret sealed opens until that secret goes")
    func rotation() throws {
        let sealed = try Sealer(ring: SecretRing(a)).seal([1, 2, 3], context: "here")
        #expect(try Sealer(ring: SecretRing("\(b),\(a)")).open(sealed, context: "here") == [1, 2, 3])
        #expect(try Sealer(ring: SecretRing(b)).open(sealed, context: "here") == nil)
    }

    @Test("A sealed value opens only where it belongs and unchanged")
    func bound() throws {
        let sealer = Sealer(ring: try SecretRing(a))
        var sealed = try sealer.seal([1, 2, 3], context: "here")
        #expect(sealer.open(sealed, context: "there") == nil)
        sealed[sealed.count - 1] ^= 1
        #expect(sealer.open(sealed, context: "here") == nil)
        #expect(sealer.open([], context: "here") == nil)
    }

    @Test("Bytes survive base64url, whatever they are and however many, in its alphabet and without padding")
    func base64URLRoundTrip() {
        for count in 0..<70 {
            for first in [0, 62, 191, 250] {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: first + 5 * $0) }
                let text = base64URL(bytes)
                #expect(text.utf8.count == (count * 4 + 2) / 3)
                #expect(!text.contains { "+/=".contains($0) })
                #expect(decodeBase64URL(text) == bytes)
            }
        }
        #expect(base64URL([0xFB, 0xEF, 0xFF, 0xFE]) == "--___g")
    }

    @Test("A text that base64url would not write is not read", arguments: ["A", "AB", "AA=", "+/", "AA\n", "é"])
    func oneSpelling(text: String) { #expect(decodeBase64URL(text) == nil) }

    @Test("A session's value survives a round trip")
    func value() {
        let value = SessionValue(role: .admin, client: ClientInfo(ipAddress: "::1", userAgent: "ü"))
        #expect(SessionValue(bytes: value.bytes) == value)
        #expect(SessionValue(bytes: [1, 0, 200]) == nil)
    }
}
