import Crypto
import FoundationEssentials
import HoldfastCore
import JWTKit

/// Makes and checks access tokens: JWTs by the rules of RFC 8725 and RFC 9068.
///
/// - The header must say `HS256`, `at+jwt` and the id of one of our keys; it is read before a key is chosen, and the key
///   is chosen from ours alone. `alg: none`, another algorithm and another type therefore never meet a key.
/// - Issuer and audience are compared exactly.
/// - `iat` and `nbf` may be 30 seconds ahead, for clocks that differ. `exp` has no leeway: the instances that issue tokens
///   are those that check them, and a life of 2 seconds must mean 2 seconds.
/// - Bounds: tokens of at most 2,048 bytes.
struct AccessTokenCodec: Sendable {
    static let type = "at+jwt"
    static let algorithm = "HS256"
    static let leewaySeconds: Int64 = 30
    static let maxTokenBytes = 2_048

    private let issuer: String
    private let audience: String
    private let currentKeyID: JWKIdentifier
    /// Each key in a collection of its own, so that an unknown `kid` cannot fall back to some default key.
    private let keys: [String: JWTKeyCollection]
    private let currentKeys: JWTKeyCollection
    private let cache = VerifiedTokenCache()

    init(ring: SecretRing, issuer: String, audience: String) async {
        self.issuer = issuer
        self.audience = audience
        currentKeyID = JWKIdentifier(string: ring.current.id)
        var keys: [String: JWTKeyCollection] = [:]
        for secret in ring.secrets {
            keys[secret.id] = await JWTKeyCollection().add(
                hmac: HMACKey(key: secret.accessTokens),
                digestAlgorithm: .sha256,
                kid: JWKIdentifier(string: secret.id)
            )
        }
        self.keys = keys
        currentKeys = keys[ring.current.id] ?? JWTKeyCollection()
    }

    func sign(user: UserID, session: SessionID, lifetime: Duration, now: ServerTime) async throws -> IssuedToken {
        let payload = AccessTokenPayload(
            iss: issuer,
            aud: audience,
            sub: user.rawValue,
            sid: session.base64URLText,
            jti: base64URL(SecureRandom.bytes(16)),
            iat: now.millisecondsSinceEpoch / 1_000,
            // To the nearest second: whole seconds are what every client reads.
            exp: (now.millisecondsSinceEpoch + lifetime.milliseconds + 500) / 1_000,
            nbf: nil
        )
        var header = JWTHeader()
        header.alg = Self.algorithm
        header.typ = Self.type
        return IssuedToken(
            text: try await currentKeys.sign(payload, kid: currentKeyID, header: header),
            id: payload.jti,
            expiresAt: ServerTime(millisecondsSinceEpoch: payload.exp * 1_000)
        )
    }

    /// Nil for every token that is not ours, not for us, or not good at `now`.
    func verify(_ token: String, now: ServerTime) async -> VerifiedToken? {
        guard token.utf8.count <= Self.maxTokenBytes else { return nil }
        let fingerprint = TokenFingerprint(of: token)
        if let known = cache.token(fingerprint) { return now < known.expiresAt ? known : nil }
        guard let header = Self.header(of: token), header.alg == Self.algorithm, header.typ == Self.type,
            let keys = keys[header.kid],
            let claims = try? await keys.verify(token, as: AccessTokenPayload.self),
            let verified = check(claims, now: now)
        else { return nil }
        cache.keep(verified, as: fingerprint)
        return verified
    }

    private func check(_ claims: AccessTokenPayload, now: ServerTime) -> VerifiedToken? {
        let latestStart = now.millisecondsSinceEpoch / 1_000 + Self.leewaySeconds
        // The bounds keep the multiplication below from overflowing, whatever the number.
        guard claims.iss == issuer, claims.aud == audience,
            (0...latestStart).contains(claims.iat), claims.nbf ?? 0 <= latestStart,
            (0..<(1 << 40)).contains(claims.exp),
            (1...64).contains(claims.jti.utf8.count),
            let user = UserID(claims.sub), let session = SessionID(base64URL: claims.sid)
        else { return nil }
        let expiresAt = ServerTime(millisecondsSinceEpoch: claims.exp * 1_000)
        guard now < expiresAt else { return nil }
        return VerifiedToken(
            user: user,
            session: session,
            handle: session.handle,
            id: claims.jti,
            expiresAt: expiresAt
        )
    }

    private static func header(of token: String) -> AccessTokenHeader? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        // Both other parts in their only spelling: one token, one fingerprint.
        guard parts.count == 3, let header = decodeBase64URL(parts[0]), decodeBase64URL(parts[1]) != nil,
            decodeBase64URL(parts[2])?.count == 32
        else { return nil }
        return try? JSONDecoder().decode(AccessTokenHeader.self, from: Data(header))
    }
}
