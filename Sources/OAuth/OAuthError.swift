/// Why the provider could not be asked, or what it answered that cannot be used.
///
/// `description` holds no token, no code, no secret and nothing the provider wrote but names of errors.
package struct OAuthError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// No answer, too late, too many at once, or the circuit is open: 503, come back later.
        case providerAway
        /// An answer that breaks the protocol or refuses us as a client: somebody has to look.
        case providerAnswer
        case configuration
    }

    package let code: Code
    package let message: String
    package let retryAfterSeconds: Int
    /// Whether the provider may have done what it was asked.
    package let mayHaveRun: Bool
    /// The connection broke: asking again at once may do.
    let isConnectionLost: Bool
    package let file: String
    package let line: Int

    init(
        _ code: Code,
        _ message: String,
        retryAfterSeconds: Int = 2,
        mayHaveRun: Bool = true,
        isConnectionLost: Bool = false,
        file: String = #fileID,
        line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
        self.mayHaveRun = mayHaveRun
        self.isConnectionLost = isConnectionLost
        self.file = file
        self.line = line
    }

    package var isRetryable: Bool { code == .providerAway }
    package var description: String { "\(message) (\(file):\(line))" }
}

/// Why nobody is signed in, as told to who asked. Each has its code at the edge.
package enum OAuthRefusal: Error, Sendable, Equatable {
    /// Not one of the registered addresses, letter by letter.
    case redirectNotAllowed
    /// A field that cannot be; its name.
    case malformed(String)
    /// PKCE with a method other than S256.
    case challengeMethod
    /// Never given out, used before, too old, or given to another browser or verifier.
    case unknownState
    /// The answer came from another provider than the one that was asked (RFC 9207).
    case wrongIssuer
    /// The provider did not take the code or the refresh token.
    case grant
    /// The provider sent an ID token or an answer that is not good.
    case untrustworthy(String)
    /// Not in the group that is required.
    case group(String)
    /// Not a token of a live session.
    case token
}
