import Crypto
import FoundationEssentials
import HoldfastCore

/// An opaque token that is good for one refresh: 256 random bits.
///
/// PostgreSQL holds its SHA-256. Its successor is kept encrypted with a key that only the token itself yields, so the
/// server can tell the same successor again to who presents the token, and to nobody else.
///
/// - Shape: 43 characters of base64url.
struct RefreshToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    init() { bytes = SecureRandom.bytes(32) }

    init?(_ text: String) {
        guard text.utf8.count == 43, let bytes = decodeBase64URL(text) else { return nil }
        self.bytes = bytes
    }

    var text: String { base64URL(bytes) }
    var hash: [UInt8] { Array(SHA256.hash(data: bytes)) }

    func seal(successor: RefreshToken) throws -> [UInt8] {
        let box = try AES.GCM.seal(successor.bytes, using: successorKey)
        guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
        return Array(combined)
    }

    func openSuccessor(_ sealed: [UInt8]) -> RefreshToken? {
        guard let box = try? AES.GCM.SealedBox(combined: sealed),
            let opened = try? AES.GCM.open(box, using: successorKey)
        else { return nil }
        return RefreshToken(base64URL(opened))
    }

    private var successorKey: SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: bytes),
            info: Data("holdfast refresh successor 1".utf8),
            outputByteCount: 32
        )
    }

    var description: String { "RefreshToken" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: []) }
}
