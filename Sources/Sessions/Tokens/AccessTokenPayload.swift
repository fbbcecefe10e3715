import HoldfastCore
import JWTKit

/// The claims of an access token. The codec checks them; here only the shapes are fixed.
struct AccessTokenPayload: JWTPayload {
    let iss: String
    let aud: String
    let sub: String
    /// The session id itself. Without it a stolen signing key alone opens no session.
    let sid: String
    let jti: String
    /// Seconds since 1970, all three.
    let iat: Int64
    let exp: Int64
    let nbf: Int64?

    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

/// The fields of a token's header that are looked at, read before anything in the token is believed.
struct AccessTokenHeader: Decodable {
    let alg: String
    let typ: String
    let kid: String
}

/// A token whose signature and claims were right when it was looked at.
struct VerifiedToken: Sendable {
    let user: UserID
    let session: SessionID
    let handle: SessionHandle
    /// `jti`: what it is called on the list of tokens that ended before their time.
    let id: String
    let expiresAt: ServerTime
}

/// A token that was just made.
struct IssuedToken: Sendable {
    let text: String
    let id: String
    let expiresAt: ServerTime
}
