import Crypto
import Foundation

/// The key of a lobby's draw: nobody can know it before, everybody can check afterwards that it was chosen before.
struct QueueSecret: Sendable, Equatable {
    /// 32 of them.
    let bytes: [UInt8]

    static func random() -> QueueSecret {
        var generator = SystemRandomNumberGenerator()
        return QueueSecret(bytes: (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// SHA-256 of the secret in hexadecimal.
    var commitment: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: SHA256.hash(data: bytes).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }
}
