import Foundation
import HoldfastCore
import JWTKit
import Testing

@testable import Sessions

@Suite struct AccessTokenCodecTests {
    private let now = ServerTime(millisecondsSinceEpoch: 1_800_000_000_000)
    private let session = SessionID()

    private func user() throws -> UserID { try #require(UserID("ada")) }

    private func codec(
        _ secrets: String = SessionsHarness.secretA,
        issuer: String = "holdfast",
        audience: String = "holdfast"
    ) async throws -> AccessTokenCodec {
        await AccessTokenCodec(ring: try SecretRing(secrets), issuer: issuer, audience: audience)
    }

    private func token(by codec: AccessTokenCodec) async throws -> String {
        try await codec.sign(user: user(), session: session, lifetime: .seconds(60), now: now).text
    }

    /// A token of our key with another header or other claims.
    private func forged(
        algorithm: String? = "HS256",
        type: String? = "at+jwt",
        keyID: String? = nil,
        key: SecretRing.Secret? = nil,
        iat: Int64 = 1_800_000_000,
        exp: Int64 = 1_800_000_060,
        nbf: Int64? = nil
    ) async throws -> String {
        let ring = try SecretRing(SessionsHarness.secretA)
        let key = key ?? ring.current
        let keys = await JWTKeyCollection().add(hmac: HMACKey(key: key.accessTokens), digestAlgorithm: .sha256)
        var header = JWTHeader()
        header.alg = algorithm
        header.typ = type
        header.kid = keyID ?? ring.current.id
        let payload = AccessTokenPayload(
            iss: "holdfast",
            aud: "holdfast",
            sub: "ada",
            sid: session.base64URLText,
            jti: "1",
            iat: iat,
            exp: exp,
            nbf: nbf
        )
        return try await keys.sign(payload, header: header)
    }

    @Test("A token says whose session it is until it ends, and not a moment longer")
    func roundTrip() async throws {
        let codec = try await codec()
        let token = try await token(by: codec)
        for _ in 0..<2 {  // The second time from the cache.
            let verified = await codec.verify(token, now: now)
            #expect(verified?.user == (try user()))
            #expect(verified?.session == session)
        }
        #expect(await codec.verify(token, now: now + .milliseconds(59_999)) != nil)
        #expect(await codec.verify(token, now: now + .seconds(60)) == nil)
        #expect(await (try self.codec()).verify(token, now: now + .seconds(60)) == nil)
    }

    @Test("The forger's own tool makes a good token when nothing is forged")
    func controls() async throws {
        #expect(await (try codec()).verify(try await forged(), now: now) != nil)
    }

    @Test("Another key, algorithm or type is refused")
    func forgedHeaders() async throws {
        let codec = try await codec()
        let other = try SecretRing(SessionsHarness.secretB)
        #expect(await codec.verify(try await forged(key: other.current), now: now) == nil)
        #expect(await codec.verify(try await forged(keyID: other.current.id, key: other.current), now: now) == nil)
        #expect(await codec.verify(try await forged(keyID: "unknown"), now: now) == nil)
        #expect(await codec.verify(try await forged(algorithm: "none"), now: now) == nil)
        #expect(await codec.verify(try await forged(algorithm: "HS512"), now: now) == nil)
        #expect(await codec.verify(try await forged(type: "JWT"), now: now) == nil)
    }

    @Test(
        "An unsigned token is refused, however its algorithm is spelled",
        arguments: ["none", "None", "NONE", "HS256"]
    )
    func unsigned(algorithm: String) async throws {
        let ring = try SecretRing(SessionsHarness.secretA)
        let good = try await token(by: try codec())
        let header = #"{"alg":"\#(algorithm)","typ":"at+jwt","kid":"\#(ring.current.id)"}"#
        let parts = good.split(separator: ".")
        #expect(await (try codec()).verify("\(base64URL(header.utf8)).\(parts[1]).", now: now) == nil)
        #expect(await (try codec()).verify("\(base64URL(header.utf8)).\(parts[1])", now: now) == nil)
    }

    @Test("Every cut and every changed byte makes a token worthless")
    func truncated() async throws {
        let codec = try await codec()
        let token = try await token(by: codec)
        for length in stride(from: 0, to: token.count, by: 7) {
            #expect(await codec.verify(String(token.prefix(length)), now: now) == nil)
        }
        for position in stride(from: 0, to: token.utf8.count, by: 5) {
            var bytes = Array(token.utf8)
            bytes[position] = bytes[position] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(await codec.verify(String(decoding: bytes, as: UTF8.self), now: now) == nil)
        }
        #expect(await codec.verify(String(repeating: "a.", count: 5_000), now: now) == nil)
    }

    @Test("A token for another service or by another issuer is refused")
    func foreign() async throws {
        let token = try await token(by: try codec())
        #expect(await (try codec(issuer: "other")).verify(token, now: now) == nil)
        #expect(await (try codec(audience: "other")).verify(token, now: now) == nil)
    }

    @Test("Clocks may differ by 30 seconds about a token's beginning")
    func leeway() async throws {
        let codec = try await codec()
        #expect(await codec.verify(try await forged(iat: 1_800_000_030), now: now) != nil)
        #expect(await codec.verify(try await forged(iat: 1_800_000_031), now: now) == nil)
        #expect(await codec.verify(try await forged(nbf: 1_800_000_031), now: now) == nil)
        #expect(await codec.verify(try await forged(exp: .max), now: now) == nil)
        #expect(await codec.verify(try await forged(exp: .min), now: now) == nil)
        #expect(await codec.verify(try await forged(iat: .min), now: now) == nil)
    }

    @Test("A token of an older secret is good until that secret goes")
    func rotation() async throws {
        let token = try await token(by: try codec())
        let both = try await codec("\(SessionsHarness.secretB),\(SessionsHarness.secretA)")
        #expect(await both.verify(token, now: now) != nil)
        #expect(await (try codec(SessionsHarness.secretB)).verify(token, now: now) == nil)
    }

    @Test("Nothing secret shows in descriptions")
    func silent() {
        #expect("\(session) \(RefreshToken())" == "SessionID RefreshToken")
        #expect(String(reflecting: session) == "SessionID")
    }
}
