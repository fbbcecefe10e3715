import Crypto
import FoundationEssentials
import HoldfastCore

extension Sessions {
    /// What a page signed in by cookie must send back in `X-CSRF-Token`.
    ///
    /// An HMAC of the session id, so it needs no storage, changes with the session, and cannot be planted by a
    /// neighbouring site that manages to set a cookie.
    package func csrfToken(for session: SignedIn) -> String { csrfToken(of: session.sessionID) }

    /// Compares in constant time; tokens made with an older secret of the ring are right too.
    package func isCSRFToken(_ text: String, of session: SignedIn) -> Bool {
        guard text.utf8.count == 43, let code = decodeBase64URL(text) else { return false }
        return configuration.secrets.secrets.contains { secret in
            HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: session.sessionID.bytes, using: secret.csrf)
        }
    }

    func csrfToken(of id: SessionID) -> String {
        base64URL(HMAC<SHA256>.authenticationCode(for: id.bytes, using: configuration.secrets.current.csrf))
    }
}
