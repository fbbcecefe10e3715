// The wire spells these names in snake case, and a reader should find them here as they are.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import HoldfastCore
import OAuth
import Sessions

// What signing in at a provider looks like on the wire: the names of RFC 6749, and ours beside them.

/// Taken as a form, as OAuth clients send it, and as JSON.
struct OAuthTokenRequest: Decodable {
    let grant_type: String?
    let code: String?
    let state: String?
    let redirect_uri: String?
    let code_verifier: String?
    let iss: String?
    let refresh_token: String?
}

struct OAuthOneTokenRequest: Decodable {
    let token: String?
    let logout_token: String?
}

struct OAuthLogoutRequest: Decodable {
    let post_logout_redirect_uri: String?
    let state: String?
}

struct OAuthTokenPayload: Encodable {
    let access_token: String
    let token_type = "bearer"
    let expires_in: Int
    let refresh_token: String?
    let id_token: String?
    let scope: String
    let session_id: String
    let user_id: UserID
    let user_name: String
    let email: String
    let role: Role
    let roles: [String]
    let groups: [String]
    let permissions: [String]

    init(_ tokens: TokenAnswer, session: String, _ user: SessionUser, _ authorities: Authorities) {
        access_token = tokens.accessToken
        expires_in = tokens.expiresIn
        refresh_token = tokens.refreshToken
        id_token = tokens.idToken
        scope = tokens.scope
        session_id = session
        user_id = user.userID
        user_name = user.name
        email = user.email
        role = user.role
        roles = authorities.roles
        groups = authorities.groups
        permissions = authorities.permissions
    }
}

struct OAuthTokenVerdictPayload: Encodable {
    let valid: Bool
    let active: Bool
    let user_id: UserID?
    let session_id: SessionHandle?
    let role: Role?
    let roles: [String]?
    let groups: [String]?
    let permissions: [String]?
    let expires_at: ServerTime?
    let expires_in: Int?

    static let invalid = OAuthTokenVerdictPayload(nil, nil)

    init(_ signedIn: SignedIn?, _ authorities: Authorities?) {
        valid = signedIn != nil
        active = valid
        user_id = signedIn?.userID
        session_id = signedIn?.session.handle
        role = signedIn?.role
        roles = authorities?.roles
        groups = authorities?.groups
        permissions = authorities?.permissions
        expires_at = signedIn?.tokenExpiresAt
        expires_in = signedIn.map { Int(max(.zero, $0.tokenExpiresAt - .now).milliseconds / 1_000) }
    }
}

struct OAuthLogoutPayload: Encodable {
    let message = "Successfully logged out"
    /// Where the browser ends its session at the provider, too.
    let logout_url: String?
}

struct OAuthHealthPayload: Encodable {
    let status = "ok"
    let issuer: String
    let discovery: Bool
    let introspection: Bool

    init(_ health: OAuthFront.Health) {
        issuer = health.issuer
        discovery = health.hasDiscovery
        introspection = health.hasIntrospection
    }
}
