import Crypto
import Foundation
package import HoldfastCore
import JWTKit

/// Signs entry passes with ES256, so that any site can check them with the published keys alone.
///
/// The keys are derived from the service's secrets, so all instances share them and none is stored. The first secret
/// signs; the keys of the others stay published, so that passes signed before a rotation stay good.
package struct EntryPassSigner: Sendable {
    package enum Failure: Error, Equatable {
        /// A secret shorter than 16 bytes, or none at all.
        case weakSecret
        /// Forged, of another issuer or audience, or not a token.
        case invalid
        case expired
    }

    /// The JSON Web Key Set, public parts only.
    package let jwks: String
    private let keys: JWTKeyCollection
    private let signingKey: JWKIdentifier
    private let issuer: String
    private let audience: String

    package init(
        secrets: [String],
        issuer: String = "holdfast",
        audience: String = "holdfast-entry"
    ) async throws {
        var published: [String] = []
        var first: JWKIdentifier?
        let keys = JWTKeyCollection()
        for secret in secrets {
            let key = try Self.deriveKey(from: secret)
            let point = key.publicKey.rawRepresentation
            let x = base64URL(point.prefix(32))
            let y = base64URL(point.suffix(32))
            // RFC 7638: the members in this order, without spaces.
            let thumbprint = SHA256.hash(data: Data(#"{"crv":"P-256","kty":"EC","x":"\#(x)","y":"\#(y)"}"#.utf8))
            let name = base64URL(Data(thumbprint))
            published.append(
                #"{"kty":"EC","use":"sig","alg":"ES256","kid":"\#(name)","crv":"P-256","x":"\#(x)","y":"\#(y)"}"#
            )
            let identifier = JWKIdentifier(string: name)
            await keys.add(ecdsa: try ES256PrivateKey(backing: key), kid: identifier)
            first = first ?? identifier
        }
        guard let first else { throw Failure.weakSecret }
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        signingKey = first
        jwks = #"{"keys":[\#(published.joined(separator: ","))]}"#
    }

    /// The token of one admission. Signing it again gives another signature over the same claims.
    package func sign(
        user: UserID,
        event: EventID,
        issuedAt: ServerTime,
        expiresAt: ServerTime
    ) async throws -> String {
        let facts = "\(event)|\(user)|\(expiresAt.millisecondsSinceEpoch)"
        let claims = EntryPassClaims(
            sub: SubjectClaim(value: user.rawValue),
            event: event.rawValue,
            iat: issuedAt.millisecondsSinceEpoch / 1_000,
            exp: expiresAt.millisecondsSinceEpoch / 1_000,
            jti: IDClaim(value: base64URL(Data(SHA256.hash(data: Data(facts.utf8))).prefix(16))),
            iss: IssuerClaim(value: issuer),
            aud: AudienceClaim(value: audience)
        )
        return try await keys.sign(claims, kid: signingKey)
    }

    /// Reads a token of ours.
    ///
    /// - Throws: ``Failure``.
    package func verify(_ token: String, now: ServerTime = .now) async throws -> EntryPass {
        guard token.utf8.count <= 2_048 else { throw Failure.invalid }
        let claims: EntryPassClaims
        do {
            claims = try await keys.verify(token, as: EntryPassClaims.self)
        } catch {
            throw Failure.invalid
        }
        let years: ClosedRange<Int64> = 0...253_402_300_799
        guard claims.iss.value == issuer, claims.aud.value == [audience], let user = UserID(claims.sub.value),
            let event = EventID(claims.event), years.contains(claims.exp), years.contains(claims.iat)
        else { throw Failure.invalid }
        let expiresAt = ServerTime(millisecondsSinceEpoch: claims.exp * 1_000)
        guard now < expiresAt else { throw Failure.expired }
        return EntryPass(
            user: user,
            event: event,
            id: claims.jti.value,
            issuedAt: ServerTime(millisecondsSinceEpoch: claims.iat * 1_000),
            expiresAt: expiresAt
        )
    }

    /// A number of 32 bytes is a key unless it is above the curve's order, once in 2³²; then the next one is taken.
    private static func deriveKey(from secret: String) throws -> P256.Signing.PrivateKey {
        guard secret.utf8.count >= 16 else { throw Failure.weakSecret }
        for attempt in 0..<16 {
            let bytes = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: Data(secret.utf8)),
                salt: Data("holdfast".utf8),
                info: Data("entry-pass ES256 \(attempt)".utf8),
                outputByteCount: 32
            )
            if let key = try? P256.Signing.PrivateKey(rawRepresentation: bytes.withUnsafeBytes { Data($0) }) {
                return key
            }
        }
        throw Failure.weakSecret
    }
}
