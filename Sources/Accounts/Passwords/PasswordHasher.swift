import COpenSSL
import Foundation

/// Why a password could not be looked at.
package enum PasswordHashingError: Error, Sendable, Equatable {
    /// The line is full; the edge answers 503 with `Retry-After`.
    case busy(retryAfterSeconds: Int)
    /// The caller went away while in line.
    case cancelled
    /// OpenSSL had no memory or no entropy.
    case failed
}

/// Whether a password is the one that was stored.
package enum PasswordVerdict: Sendable, Equatable {
    /// `needsRehash`: it was stored with other parameters than today's.
    case right(needsRehash: Bool)
    case wrong
}

/// Stores and checks passwords with scrypt.
///
/// A missing or unreadable hash costs the same work as a wrong password, so the time of an answer does not tell
/// whether an account exists.
package final class PasswordHasher: Sendable {
    private let parameters: ScryptParameters
    private let queue: HashingQueue
    /// What a password is compared with when there is nothing to compare it with. Its key is of no password: nobody
    /// knows bytes that scrypt turns into 32 zeros.
    private let decoy: PasswordHash

    /// - Parameters:
    ///   - threads: hashes at one time, each with `128 × 2^logN × r` bytes.
    ///   - maxWaiting: callers in line behind them; past it `.busy`.
    package init(parameters: ScryptParameters = .standard, threads: Int = 2, maxWaiting: Int = 64) {
        openssl_keep_until_process_ends()
        self.parameters = parameters
        queue = HashingQueue(threads: threads, maxWaiting: maxWaiting)
        decoy = PasswordHash(
            parameters: parameters,
            salt: [UInt8](repeating: 0x5A, count: PasswordHash.saltByteCount),
            key: [UInt8](repeating: 0, count: PasswordHash.keyByteCount)
        )
    }

    /// The PHC string to store for a password.
    package func hash(_ password: String) async throws(PasswordHashingError) -> String {
        let (parameters, bytes) = (parameters, Self.bytes(password))
        let hash = try await queue.run { () -> PasswordHash? in
            guard let salt = Scrypt.randomBytes(PasswordHash.saltByteCount),
                let key = Scrypt.key(of: bytes, salt: salt, parameters: parameters)
            else { return nil }
            return PasswordHash(parameters: parameters, salt: salt, key: key)
        }
        guard let hash else { throw .failed }
        return hash.phc
    }

    /// Compares in constant time; with nil or an unreadable `phc` it works just as long and answers `.wrong`.
    package func verify(_ password: String, against phc: String?) async throws(PasswordHashingError) -> PasswordVerdict
    {
        let stored = phc.flatMap(PasswordHash.init(phc:))
        let (target, bytes) = (stored ?? decoy, Self.bytes(password))
        let key = try await queue.run { Scrypt.key(of: bytes, salt: target.salt, parameters: target.parameters) }
        guard let key else { throw .failed }
        let isRight = Scrypt.areEqual(key, target.key)
        guard isRight, stored != nil else { return .wrong }
        return .right(needsRehash: target.parameters != parameters)
    }

    /// One password typed on two keyboards can be two sequences of code points; their canonical composition is one.
    private static func bytes(_ password: String) -> [UInt8] {
        Array(password.precomposedStringWithCanonicalMapping.utf8)
    }
}
