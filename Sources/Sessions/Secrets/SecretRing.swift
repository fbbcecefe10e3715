import Crypto
import FoundationEssentials
import HoldfastCore

/// Why `HOLDFAST_SECRETS` cannot be used. Says which key, never what it is.
package struct SecretError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// The keys of `HOLDFAST_SECRETS`: the first signs and encrypts, all verify and decrypt.
///
/// Nothing is signed or encrypted with a secret itself. Each use has its own key, derived by HKDF-SHA256 with the use's
/// name, so that what is shown for one use says nothing about another.
///
/// - Shape: base64, separated by commas.
/// - Bounds: 1 to 16 secrets of 32 to 256 bytes each.
package struct SecretRing: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// One secret, or rather what is derived from it.
    struct Secret: Sendable {
        /// Names the secret in tokens and sealed values: 8 bytes derived from it, in base64url.
        let id: String
        let idBytes: [UInt8]
        let accessTokens: SymmetricKey
        let sessionValues: SymmetricKey
        let csrf: SymmetricKey
    }

    /// At least one.
    let secrets: [Secret]
    let current: Secret

    package init(_ text: String) throws(SecretError) {
        var secrets: [Secret] = []
        for (index, part) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let trimmed = part.drop { $0 == " " }.prefix { $0 != " " && $0 != "\n" }
            guard let data = Data(base64Encoded: String(trimmed)), (32...256).contains(data.count) else {
                throw SecretError(
                    description: "HOLDFAST_SECRETS: key \(index + 1) is not base64 of 32 to 256 bytes "
                        + "(make one with: openssl rand -base64 32)"
                )
            }
            secrets.append(Secret(SymmetricKey(data: data)))
        }
        guard let first = secrets.first, secrets.count <= 16 else {
            throw SecretError(description: "HOLDFAST_SECRETS: 1 to 16 keys, separated by commas")
        }
        guard Set(secrets.map(\.id)).count == secrets.count else {
            throw SecretError(description: "HOLDFAST_SECRETS: the same key stands there twice")
        }
        self.secrets = secrets
        current = first
    }

    package var description: String { "SecretRing(\(secrets.count) keys)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension SecretRing.Secret {
    init(_ secret: SymmetricKey) {
        func key(_ use: String, byteCount: Int = 32) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: secret,
                info: Data("holdfast \(use) 1".utf8),
                outputByteCount: byteCount
            )
        }
        idBytes = key("key id", byteCount: 8).withUnsafeBytes { Array($0) }
        id = base64URL(idBytes)
        accessTokens = key("access token")
        sessionValues = key("session value")
        csrf = key("csrf token")
    }
}
