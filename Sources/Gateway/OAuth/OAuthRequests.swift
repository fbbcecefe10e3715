import HTTPTypes
import HoldfastCore
import Hummingbird
import OAuth

extension Request {
    /// Decodes a body that may be a form (RFC 6749) or JSON; an absent one decodes like an empty form.
    func form<Body: Decodable>(_ type: Body.Type = Body.self) async throws -> Body {
        let mediaType = headers[.contentType]?.split(separator: ";").first.map { $0.lowercased() }
        guard mediaType == "application/x-www-form-urlencoded" else { return try await jsonIfAny(type) }
        if headers[.contentEncoding] != nil {
            throw Problem(.unsupportedMediaType, "Send the body without Content-Encoding.")
        }
        let buffer = try await wholeBody(upTo: 64 * 1_024)
        do {
            return try URLEncodedFormDecoder().decode(type, from: String(buffer: buffer))
        } catch {
            throw Problem(.malformedRequest, "The body is not a valid form.")
        }
    }

    /// A parameter of the query that may stand there once (RFC 6749, section 3.1).
    func single(_ name: String) throws(Problem) -> String? {
        let values = uri.queryParameters[values: name[...]]
        guard values.count <= 1 else { throw .invalid(.init(name, "stands there more than once")) }
        return values.first.map(String.init)
    }
}

/// Where browsers may be sent.
///
/// With a list every letter counts. Without one (not in production) it is any page of our own or of `CORS_ORIGINS`; the
/// provider has its own list all the same.
struct RedirectPolicy: Sendable {
    let listed: [String]
    let origins: OriginPolicy

    func allows(_ address: String, host: String?) -> Bool {
        guard listed.isEmpty else { return listed.contains(address) }
        guard let origin = WebOrigin(of: address) else { return false }
        return origins.isOwn(origin.text, host: host) || origins.allowed.contains(origin.text)
    }

    /// Where to, when the page does not say.
    func usual(host: String?) -> String? {
        if let first = listed.first { return first }
        guard let host, let plain = WebOrigin(of: "http://\(host)") else { return nil }
        return "\(plain.isLoopback ? "http" : "https")://\(host)/oauth/callback"
    }
}

extension Problem {
    /// What a person is told of a refusal of the front.
    init(_ refusal: OAuthRefusal) {
        switch refusal {
        case .redirectNotAllowed:
            self.init(.redirectNotAllowed, "This redirect_uri is not registered.")
        case .malformed(let field):
            self = .invalid(.init(field, "is not valid"))
        case .challengeMethod:
            self = .invalid(.init("code_challenge_method", "must be S256"))
        case .unknownState:
            self.init(.invalidState, "This sign-in was not begun in this browser, or has been finished. Start again.")
        case .wrongIssuer:
            self.init(.invalidState, "The answer came from another provider. Start again.")
        case .grant:
            self.init(.invalidGrant, "The code or token was not accepted. Sign in again.")
        case .untrustworthy:
            self.init(.invalidGrant, "The provider's answer could not be verified. Sign in again.")
        case .group:
            self = .groupRequired
        case .token:
            self.init(.invalidToken, "The token is not valid.")
        }
    }
}

extension ProblemCode {
    /// Its name in RFC 6749, sections 4.1.2.1 and 5.2; nil for what OAuth clients do not wait for.
    var oauthError: String? {
        switch self {
        case .invalidGrant, .invalidState: "invalid_grant"
        case .redirectNotAllowed: "invalid_request"
        case .groupRequired: "access_denied"
        case .providerUnavailable: "temporarily_unavailable"
        default: nil
        }
    }
}
