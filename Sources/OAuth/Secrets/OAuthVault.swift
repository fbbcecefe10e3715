import Crypto
import FoundationEssentials
import HoldfastCore
import Redis

/// Encrypts what this slice keeps in Redis, bound to the key under which it is kept.
///
/// The provider's tokens open accounts elsewhere, so a copy of Redis must not hold them in clear. The key is derived from
/// `HOLDFAST_SECRETS` for this use alone; values sealed under an older secret of the ring still open.
///
/// - Shape: AES-256-GCM's nonce, ciphertext and tag; the place is authenticated with it.
struct OAuthVault: Sendable {
    /// At least one; the first seals.
    private let keys: [SymmetricKey]

    /// - Parameter secrets: the entries of `HOLDFAST_SECRETS`, in base64, checked by the settings.
    init(secrets: [String]) throws(OAuthError) {
        keys = secrets.compactMap { Data(base64Encoded: $0) }.map { secret in
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: secret),
                info: Data("holdfast oauth value 1".utf8),
                outputByteCount: 32
            )
        }
        guard !keys.isEmpty else { throw OAuthError(.configuration, "HOLDFAST_SECRETS: has no key") }
    }

    /// Keeps a value under `key`, sealed, for so long.
    func storing(_ value: some Encodable, at key: String, forMs life: Int64) throws -> RedisCommand {
        RedisCommand(
            "SET",
            RedisArgument(key),
            RedisArgument(bytes: try seal(value, at: key)),
            "PX",
            RedisArgument(life)
        )
    }

    func seal(_ value: some Encodable, at place: String) throws -> [UInt8] {
        let box = try AES.GCM.seal(
            try JSONEncoder().encode(value),
            using: keys[0],
            authenticating: Data(place.utf8)
        )
        guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
        return [UInt8](combined)
    }

    /// Nil when it was sealed for another place, under a secret no longer in the ring, or not by us.
    func open<Value: Decodable>(_ type: Value.Type, _ sealed: some Sequence<UInt8>, at place: String) -> Value? {
        guard let box = try? AES.GCM.SealedBox(combined: Data(sealed)) else { return nil }
        for key in keys {
            if let opened = try? AES.GCM.open(box, using: key, authenticating: Data(place.utf8)) {
                return try? JSONDecoder().decode(type, from: opened)
            }
        }
        return nil
    }
}

enum OAuthRandom {
    /// 256 bits of the system's generator, in 43 characters of base64url: a state, a nonce, a PKCE verifier.
    static func text() -> String {
        var generator = SystemRandomNumberGenerator()
        return base64URL((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }
}

/// The SHA-256 of parts that no other parts hash to: each is preceded by its length.
func digest(_ parts: String...) -> String {
    var hash = SHA256()
    for part in parts {
        hash.update(data: Data("\(part.utf8.count):".utf8))
        hash.update(data: Data(part.utf8))
    }
    return base64URL(hash.finalize())
}

func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

func decodeBase64URL(_ text: Substring) -> Data? {
    guard !text.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "=") })
    else { return nil }
    var standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    standard.append(String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    return Data(base64Encoded: standard)
}
