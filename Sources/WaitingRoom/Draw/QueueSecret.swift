/// The key of a lobby's draw: nobody can know it before, everybody can check afterwards that it was chosen before.
struct QueueSecret: Sendable, Equatable {
    /// 32 of them.
    let bytes: [UInt8]

    static func random() -> QueueSecret {
        var generator = SystemRandomNumberGenerator()
        return QueueSecret(bytes: (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// SHA-256 of the secret in hexadecimal.
    var commitment: String { LobbyDraw.commitment(to: bytes) }
}
