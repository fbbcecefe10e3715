import Crypto
import HoldfastCore
import Synchronization

/// A token's SHA-256: what the cache remembers instead of the token.
struct TokenFingerprint: Sendable, Hashable {
    private let words: SIMD4<UInt64>

    init(of token: String) {
        var token = token
        let digest = token.withUTF8 { SHA256.hash(data: $0) }
        words = digest.withUnsafeBytes { bytes in
            SIMD4(
                bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
            )
        }
    }
}

/// Tokens whose signatures were checked, because decoding JSON twice is most of a request's work here.
///
/// It only says "the signature and the claims are right"; whether the session lives is asked of Redis each time. Entries
/// are checked against their expiry by the reader. Two generations bound it, as in a clock with two hands.
///
/// - Bounds: twice `generationSize` tokens, about 200 bytes each.
final class VerifiedTokenCache: Sendable {
    private struct State {
        var young: [TokenFingerprint: VerifiedToken] = [:]
        var old: [TokenFingerprint: VerifiedToken] = [:]
    }

    private let generationSize: Int
    private let state = Mutex(State())

    init(generationSize: Int = 50_000) { self.generationSize = generationSize }

    func token(_ fingerprint: TokenFingerprint) -> VerifiedToken? {
        state.withLock { state in
            if let token = state.young[fingerprint] { return token }
            guard let token = state.old[fingerprint] else { return nil }
            insert(token, fingerprint, &state)
            return token
        }
    }

    func keep(_ token: VerifiedToken, as fingerprint: TokenFingerprint) {
        state.withLock { insert(token, fingerprint, &$0) }
    }

    private func insert(_ token: VerifiedToken, _ fingerprint: TokenFingerprint, _ state: inout State) {
        if state.young.count >= generationSize {
            state.old = state.young
            state.young = [:]
        }
        state.young[fingerprint] = token
    }
}
