import Crypto
import FoundationEssentials
import HoldfastCore
import JWTKit
import Testing

@testable import OAuth

private struct Claims: JWTPayload {
    var sub = "subject"

    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

@Suite struct ProviderKeysTests {
    private func published(_ key: P256.Signing.PrivateKey, _ id: String, _ changes: [String: JSONValue] = [:])
        -> JSONValue
    {
        let point = key.publicKey.rawRepresentation
        return .object(
            [
                "kty": .string("EC"), "crv": .string("P-256"), "kid": .string(id), "use": .string("sig"),
                "x": .string(base64URL(point.prefix(32))), "y": .string(base64URL(point.suffix(32))),
            ].merging(changes) { $1 }
        )
    }

    private func signed(_ key: P256.Signing.PrivateKey, _ id: String) async throws -> String {
        let keys = await JWTKeyCollection().add(
            ecdsa: try ES256PrivateKey(pem: key.pemRepresentation),
            kid: JWKIdentifier(string: id)
        )
        return try await keys.sign(Claims(), kid: JWKIdentifier(string: id))
    }

    @Test("A published key verifies what its owner signed, and nothing else does")
    func verifies() async throws {
        let (key, other) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        let keys = ProviderKeys([published(key, "a"), published(other, "b")])
        let token = try await signed(key, "a")
        let right = try #require(try await keys.key("a", "ES256"))
        #expect(try await right.verify(token, as: Claims.self).sub == "subject")
        let wrong = try #require(try await keys.key("b", "ES256"))
        await #expect(throws: (any Error).self) { try await wrong.verify(token, as: Claims.self) }
    }

    @Test("A key is used with algorithms of its type only, and with its own if it names one")
    func algorithms() async throws {
        let key = P256.Signing.PrivateKey()
        let keys = ProviderKeys([published(key, "a"), published(key, "b", ["alg": .string("ES384")])])
        for algorithm in ["none", "HS256", "RS256", "EdDSA", "ES384", "", "es256"] {
            let found = try await keys.key("a", algorithm)
            #expect(found == nil, "\(algorithm)")
        }
        #expect(try await keys.key("b", "ES256") == nil)
    }

    @Test("Secrets, keys for encryption, keys without an id and ids that stand there twice are left out")
    func leftOut() {
        let key = P256.Signing.PrivateKey()
        let keys = ProviderKeys([
            published(key, "twice"), published(key, "twice"),
            published(key, "enc", ["use": .string("enc")]),
            published(key, "x", ["kid": .null]),
            .object(["kty": .string("oct"), "kid": .string("secret"), "k": .string("c2VjcmV0")]),
            .string("nonsense"),
            published(key, "good"),
        ])
        #expect(keys.count == 1 && keys.has("good"))
    }
}
