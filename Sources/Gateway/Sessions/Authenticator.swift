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
    /// `REQUIRED_GROUP`: who is in it, or an administrator, may use the service.
    var requiredGroup: String?
    /// Looks at tokens that are not ours; nil without a provider.
    var vouch: (@Sendable (String) async throws -> SessionCheck)?

    static let cookie = "__Host-holdfast"
    static let csrfCookie = "__Host-holdfast-csrf"
    private static let sessionHeader = HTTPField.Name("X-Session-ID")
    private static let csrfHeader = HTTPField.Name("X-CSRF-Token")

    /// - Throws: ``Problem`` 401 or 403; a store's error when it is away, which becomes 503.
    func signedIn(_ request: Request) async throws -> SignedIn {
        try requireUse(try await bearer(of: request), namedSession: Self.sessionHeader.flatMap { request.headers[$0] })
    }

    /// The same for a request without cookies.
    ///
    /// - Parameters:
    ///   - authorization: the whole field.
    ///   - namedSession: what `X-Session-ID` says.
    func signedIn(authorization: String, namedSession: String?) async throws -> SignedIn {
        try requireUse(try await bearer(authorization), namedSession: namedSession)
    }

    private func requireUse(_ signedIn: SignedIn, namedSession: String?) throws(Problem) -> SignedIn {
        // Who names a session means that one. Sessions are named by handles, which sign nobody in.
        if let namedSession, namedSession != signedIn.session.handle.rawValue {
            throw Problem(.sessionExpired, "The token does not belong to the session that X-Session-ID names.")
        }
        guard signedIn.user.grants.mayUseService(of: requiredGroup) else {
            throw Problem.groupRequired
        }
        return signedIn
    }

    private func bearer(of request: Request) async throws -> SignedIn {
        if let header = request.headers[.authorization] { return try await bearer(header) }
        guard let cookie = request.cookies[Self.cookie] else {
            throw Problem(.authenticationRequired, "Sign in first.")
        }
        let signedIn = try await check(cookie.value)
        try requireOwnPage(request, signedIn)
        return signedIn
    }

    private func bearer(_ authorization: String) async throws -> SignedIn {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw Problem(.authenticationRequired, "Send Authorization: Bearer with an access token.")
        }
        return try await check(String(parts[1]))
    }

    /// An administrator, or somebody who was given just this permission.
    func permitted(_ permission: Permission, _ request: Request) async throws -> SignedIn {
        let signedIn = try await signedIn(request)
        guard signedIn.user.grants.allows(permission) else {
            throw Problem(.forbidden, "This needs an administrator, or the permission \(permission.rawValue).")
        }
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
        guard let name = Self.csrfHeader, let token = request.headers[name],
            sessions.isCSRFToken(token, of: signedIn)
        else {
            throw Problem(.csrfTokenMissing, "Repeat the value of the \(Self.csrfCookie) cookie in X-CSRF-Token.")
        }
    }
}
