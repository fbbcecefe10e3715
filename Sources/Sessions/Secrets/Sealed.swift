import Crypto
import FoundationEssentials

/// Encrypts what stores keep for us, bound to the place where it is kept.
///
/// - Shape: version 1, the 8-byte key id, then AES-256-GCM's nonce, ciphertext and tag. `context` is authenticated with
///   it, so a value copied to another key of the store does not open there.
struct Sealer: Sendable {
    private static let version: UInt8 = 1
    private static let headerByteCount = 9

    private let ring: SecretRing

    init(ring: SecretRing) { self.ring = ring }

    func seal(_ bytes: [UInt8], context: String) throws -> [UInt8] {
        let header = [Self.version] + ring.current.idBytes
        let box = try AES.GCM.seal(
            bytes,
            using: ring.current.sessionValues,
            authenticating: header + Array(context.utf8)
        )
        guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
        return header + [UInt8](combined)
    }

    /// Whether it was made with the secret that is first in the ring now.
    func isCurrent(_ sealed: [UInt8]) -> Bool {
        sealed.count > Self.headerByteCount && sealed[1..<Self.headerByteCount].elementsEqual(ring.current.idBytes)
    }

    /// Nil when it was made for another place, by a secret no longer in the ring, or not by us.
    func open(_ sealed: [UInt8], context: String) -> [UInt8]? {
        guard sealed.count > Self.headerByteCount, sealed[0] == Self.version else { return nil }
        let header = Array(sealed[..<Self.headerByteCount])
        guard let secret = ring.secrets.first(where: { $0.idBytes.elementsEqual(header[1...]) }),
            let box = try? AES.GCM.SealedBox(combined: sealed[Self.headerByteCount...]),
            let opened = try? AES.GCM.open(
                box,
                using: secret.sessionValues,
                authenticating: header + Array(context.utf8)
            )
        else { return nil }
        return [UInt8](opened)
    }
}
