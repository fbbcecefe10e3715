import Foundation
package import HoldfastCore
import JWTKit

/// What an entry pass says to whoever verifies it, here or on another site.
package struct EntryPass: Sendable, Equatable {
    package var user: UserID
    package var event: EventID
    /// The same whenever the same admission is signed again.
    package var id: String
    /// In whole seconds, as tokens count.
    package var issuedAt: ServerTime
    package var expiresAt: ServerTime
}

/// The claims of the token. Times are whole seconds.
struct EntryPassClaims: JWTPayload {
    var sub: SubjectClaim
    var event: String
    var iat: Int64
    var exp: Int64
    var jti: IDClaim
    var iss: IssuerClaim
    var aud: AudienceClaim

    /// Checks nothing: the signer compares issuer, audience and time itself, knowing what is expected of them.
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}
