import Crypto
import HoldfastCore

/// What a token carries to name its session: 256 random bits. Whoever knows it and can sign is the person.
///
/// - Important: never stored in clear, never logged; it describes itself as nothing.
struct SessionID: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    static let byteCount = 32

    let bytes: [UInt8]

    init() { bytes = SecureRandom.bytes(Self.byteCount) }

    init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    init?(base64URL text: String) {
        guard let bytes = decodeBase64URL(text) else { return nil }
        self.init(bytes: bytes)
    }

    var base64URLText: String { base64URL(bytes) }

    /// What stores and people are shown.
    var handle: SessionHandle { SessionHandle(hashOf: bytes) }

    var description: String { "SessionID" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// A session's public name: the SHA-256 of its id. It finds a session and cannot sign in.
///
/// - Shape: 43 characters of base64url.
package struct SessionHandle: StringIdentifier {
    package let rawValue: String

    package init?(_ text: String) {
        guard text.utf8.count == 43, decodeBase64URL(text) != nil else { return nil }
        rawValue = text
    }

    init(hashOf bytes: [UInt8]) { rawValue = base64URL(SHA256.hash(data: bytes)) }
}

enum SecureRandom {
    /// From the system's generator, which does not fail once the system is up.
    static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
}
