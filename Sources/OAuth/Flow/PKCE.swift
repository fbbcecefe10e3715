import Crypto
import FoundationEssentials
import HoldfastCore

/// Proof Key for Code Exchange (RFC 7636), with S256 only: `plain` shows the verifier to whoever sees the request.
package enum PKCE {
    /// What `verifier` shows that one knows; nil if it is no verifier.
    ///
    /// - Shape of a verifier: 43 to 128 unreserved characters.
    package static func challenge(of verifier: String) -> String? {
        guard (43...128).contains(verifier.utf8.count), verifier.utf8.allSatisfy(isUnreserved) else { return nil }
        return base64URL(SHA256.hash(data: Data(verifier.utf8)))
    }

    /// A SHA-256 in base64url.
    static func isChallenge(_ text: String) -> Bool {
        text.utf8.count == 43 && decodeBase64URL(text[...])?.count == 32
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
