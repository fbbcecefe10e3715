import HTTPTypes
import HoldfastCore
import Hummingbird
import Sessions

/// Finds out who sent a request.
///
/// A bearer token wins over the cookie. A request signed in by cookie was perhaps sent by a page that is not ours, so
/// unless it only reads it must come from an allowed origin and repeat the CSRF cookie's value in a header.
struct Authenticator: Sendable {
    let sessions: Sessions
    let origins: OriginPolicy
    /// Looks at tokens that are not ours; nil without a provider.
    var vouch: (@Sendable (String) async throws -> SessionCheck)?

    static let cookie = "__Host-holdfast"
    static let csrfCookie = "__Host-holdfast-csrf"

    /// - Throws: ``Problem`` 401 or 403; a store's error when it is away, which becomes 503.
    func signedIn(_ request: Request) async throws -> SignedIn {
        if let header = request.headers[.authorization] {
            let parts = header.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                throw Problem(.authenticationRequired, "Send Authorization: Bearer with an access token.")
            }
            return try await check(String(parts[1]))
        }
        guard let cookie = request.cookies[Self.cookie] else {
            throw Problem(.authenticationRequired, "Sign in first.")
        }
        let signedIn = try await check(cookie.value)
        try requireOwnPage(request, signedIn)
        return signedIn
    }

    func administrator(_ request: Request) async throws -> SignedIn {
        let signedIn = try await signedIn(request)
        guard signedIn.role.isAdministrator else { throw Problem(.forbidden, "This needs an administrator.") }
        return signedIn
    }

    func check(_ accessToken: String) async throws -> SignedIn {
        switch try await sessions.authenticate(accessToken, orElse: vouch) {
        case .valid(let signedIn): return signedIn
        case .invalidToken: throw Problem(.invalidToken, "The access token is not valid.")
        case .sessionExpired: throw Problem(.sessionExpired, "The session has ended. Sign in again.")
        case .disabled: throw Problem(.accountDisabled, "The account is disabled.")
        }
    }

    private func requireOwnPage(_ request: Request, _ signedIn: SignedIn) throws(Problem) {
        guard ![.get, .head, .options].contains(request.method) else { return }
        if let origin = request.headers[.origin], !origins.allows(origin, host: request.head.authority) {
            throw Problem(.originNotAllowed, "This page may not act for you.")
        }
        guard let name = HTTPField.Name("X-CSRF-Token"), let token = request.headers[name],
            sessions.isCSRFToken(token, of: signedIn)
        else {
            throw Problem(.csrfTokenMissing, "Repeat the value of the \(Self.csrfCookie) cookie in X-CSRF-Token.")
        }
    }
}
