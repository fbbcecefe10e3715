/// What the provider gave for a code or a refresh token (RFC 6749, section 5.1).
///
/// - Important: all three tokens are secrets; the value describes itself without them.
package struct TokenAnswer: Sendable, Codable, CustomStringConvertible, CustomDebugStringConvertible {
    package let accessToken: String
    /// Seconds; a provider that does not say gets five minutes.
    package let expiresIn: Int
    package let refreshToken: String?
    package let idToken: String?
    package let scope: String

    static let maxTokenBytes = 16_384

    /// Nil for what is no bearer token, or has no use.
    init?(_ json: JSONValue, requestedScope: String) {
        func token(_ name: String) -> String? {
            guard let text = json[name]?.string, (1...Self.maxTokenBytes).contains(text.utf8.count),
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
            else { return nil }
            return text
        }
        guard let accessToken = token("access_token"), json["token_type"]?.string?.lowercased() == "bearer" else {
            return nil
        }
        let seconds: Int64? =
            if case .string(let text)? = json["expires_in"] { Int64(text) } else { json["expires_in"]?.seconds }
        self.accessToken = accessToken
        expiresIn = Int(min(max(seconds ?? 300, 0), 2_592_000))
        refreshToken = token("refresh_token")
        idToken = token("id_token")
        // Left out when it is what was asked for.
        scope = json["scope"]?.string ?? requestedScope
    }

    private init(_ other: TokenAnswer, refreshToken: String?, idToken: String?) {
        accessToken = other.accessToken
        expiresIn = other.expiresIn
        scope = other.scope
        self.refreshToken = refreshToken
        self.idToken = idToken
    }

    /// With what a refresh leaves out when it stays the same.
    func keeping(refreshToken: String?, idToken: String?) -> TokenAnswer {
        TokenAnswer(self, refreshToken: self.refreshToken ?? refreshToken, idToken: self.idToken ?? idToken)
    }

    package var description: String { "TokenAnswer" }
    package var debugDescription: String { description }
}
