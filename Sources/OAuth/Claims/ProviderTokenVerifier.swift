import Crypto
import FoundationEssentials
import HoldfastCore
import JWTKit

/// Every claim of a token, whatever they are. The signature is checked before anything in it is looked at.
private struct AllClaims: JWTPayload {
    let value: JSONValue

    init(from decoder: any Decoder) throws { value = try JSONValue(from: decoder) }

    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }

    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

/// The fields of a header that are looked at before anything in the token is believed.
private struct TokenHeader: Decodable {
    let alg: String
    let kid: String?
    let typ: String?
    let crit: [String]?
}

/// What a token is presented as; each kind has its own rules, so that none passes for another (RFC 8725, 3.11).
enum ProviderTokenKind: Sendable {
    case identity(nonce: String, accessToken: String)
    /// An ID token of a refresh: the nonce may be missing, everything else holds.
    case refreshedIdentity(accessToken: String)
    case access
    case logout
}

/// Checks tokens that the provider signed.
///
/// Source: OpenID Connect Core 3.1.3.7 and 12.2, RFC 9068 section 4, Back-Channel Logout 2.6, RFC 8725.
struct ProviderTokenVerifier: Sendable {
    static let leewaySeconds: Int64 = 30
    static let maxTokenBytes = 16_384
    /// ID tokens are fetched by ourselves a moment after they were made, logout tokens arrive then.
    static let maxAgeSeconds: Int64 = 600
    static let logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

    let clientID: String
    let directory: ProviderDirectory

    /// Whether it looks like a token that ``verify(_:as:now:)`` could say something about.
    static func isSigned(_ token: String) -> Bool {
        guard let header = header(of: token) else { return false }
        return ProviderKeys.algorithms[header.alg] != nil && header.kid != nil
    }

    /// The claims, if the token is good now; nil if it is not.
    ///
    /// - Throws: ``OAuthError`` when the provider has to be asked for a key and does not answer.
    func verify(_ token: String, as kind: ProviderTokenKind, now: Int64) async throws -> JSONValue? {
        guard token.utf8.count <= Self.maxTokenBytes, let header = Self.header(of: token), let kid = header.kid,
            header.crit == nil, Self.isTypeRight(header.typ?.lowercased(), kind)
        else { return nil }
        guard let key = try await directory.key(kid, algorithm: header.alg) else { return nil }
        let issuer = try await directory.current().issuer
        guard let claims = try? await key.verify(token, as: AllClaims.self).value else { return nil }
        return isGood(claims, issuer: issuer, algorithm: header.alg, kind, now: now) ? claims : nil
    }

    func isGood(
        _ claims: JSONValue,
        issuer: String,
        algorithm: String,
        _ kind: ProviderTokenKind,
        now: Int64
    ) -> Bool {
        guard claims["iss"]?.string == issuer else { return false }
        let latest = now + Self.leewaySeconds
        if let notBefore = claims["nbf"] {
            guard let seconds = notBefore.seconds, seconds <= latest else { return false }
        }
        if let issued = claims["iat"] {
            guard let seconds = issued.seconds, seconds <= latest else { return false }
        }
        switch kind {
        case .identity(let nonce, let accessToken):
            return claims["nonce"]?.string == nonce && isIdentity(claims, algorithm, accessToken, now: now)
        case .refreshedIdentity(let accessToken):
            return isIdentity(claims, algorithm, accessToken, now: now)
        case .access:
            // Whom it was given to, where it says so; its audience is the provider's business.
            let party = claims["client_id"]?.string ?? claims["azp"]?.string ?? clientID
            return lives(claims, now: now) && party == clientID && claims["sub"]?.string?.isEmpty == false
                && claims["nonce"] == nil
        case .logout:
            guard claims["exp"] == nil || lives(claims, now: now), let issued = claims["iat"]?.seconds,
                issued > now - Self.maxAgeSeconds, claims["nonce"] == nil, isForUs(claims),
                claims["events"]?[Self.logoutEvent]?.object != nil, claims["jti"]?.string?.isEmpty == false
            else { return false }
            return claims["sub"]?.string != nil || claims["sid"]?.string != nil
        }
    }

    private func isIdentity(_ claims: JSONValue, _ algorithm: String, _ accessToken: String, now: Int64) -> Bool {
        guard lives(claims, now: now), isForUs(claims), let subject = claims["sub"]?.string,
            (1...255).contains(subject.utf8.count), let issued = claims["iat"]?.seconds,
            issued > now - Self.maxAgeSeconds
        else { return false }
        guard let stated = claims["at_hash"] else { return true }
        return stated.string == Self.accessTokenHash(accessToken, algorithm)
    }

    private func lives(_ claims: JSONValue, now: Int64) -> Bool {
        guard let expires = claims["exp"]?.seconds else { return false }
        return expires > now - Self.leewaySeconds
    }

    /// We are an audience, and if the token names the party it was made for, that is us.
    private func isForUs(_ claims: JSONValue) -> Bool {
        let audience = claims["aud"]?.strings ?? []
        guard audience.contains(clientID) else { return false }
        if let party = claims["azp"] { return party.string == clientID }
        return audience.count == 1
    }

    private static func isTypeRight(_ type: String?, _ kind: ProviderTokenKind) -> Bool {
        switch kind {
        case .identity, .refreshedIdentity: type == nil || type == "jwt"
        case .access: type == nil || type == "jwt" || type == "at+jwt" || type == "application/at+jwt"
        // The first versions of the specification had plain `JWT`; the `events` claim tells them apart all the same.
        case .logout: type == nil || type == "jwt" || type == "logout+jwt"
        }
    }

    private static func header(of token: String) -> TokenHeader? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count <= 4_096, let header = decodeBase64URL(parts[0]) else { return nil }
        return try? JSONDecoder().decode(TokenHeader.self, from: header)
    }

    /// The left half of the access token's hash, by the hash of the ID token's algorithm (OpenID Connect Core 3.1.3.6).
    static func accessTokenHash(_ token: String, _ algorithm: String) -> String? {
        let bytes = Data(token.utf8)
        switch algorithm.suffix(3) {
        case "256": return base64URL(Array(SHA256.hash(data: bytes)).prefix(16))
        case "384": return base64URL(Array(SHA384.hash(data: bytes)).prefix(24))
        // Ed25519 signs with SHA-512 inside.
        case "512", "DSA": return base64URL(Array(SHA512.hash(data: bytes)).prefix(32))
        default: return nil
        }
    }
}
