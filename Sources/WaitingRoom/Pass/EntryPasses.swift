package import HoldfastCore
import Synchronization

/// The entry passes that people are given: one per admission, the same on every instance, however often it is asked for.
///
/// ES256 signs differently each time, so the first token signed is kept in Redis beside the pass and goes with it. Lost
/// with Redis, the next one says the same, under another signature.
///
/// - Bounds: 20,000 tokens in memory, about 10 MB; at the bound those that have ended go, else all.
package final class EntryPasses: Sendable {
    private struct Admission: Hashable {
        var user: UserID
        var event: EventID
        var expiresAtMs: Int64
    }

    private static let capacity = 20_000

    package let signer: EntryPassSigner
    private let scripts: QueueScripts
    private let tokens = Mutex<[Admission: String]>([:])

    package init(signer: EntryPassSigner, waitingRoom: WaitingRoom) {
        self.signer = signer
        scripts = waitingRoom.scripts
    }

    package func token(for user: UserID, in event: EventID, expiresAt: ServerTime) async throws -> String {
        let admission = Admission(user: user, event: event, expiresAtMs: expiresAt.millisecondsSinceEpoch)
        if let token = tokens.withLock({ $0[admission] }) { return token }
        let signed = try await signer.sign(user: user, event: event, issuedAt: .now, expiresAt: expiresAt)
        let token = try await scripts.keep(signed, of: user, expiresAtMs: admission.expiresAtMs, in: event)
        tokens.withLock { tokens in
            if tokens.count >= Self.capacity {
                let now = ServerTime.now.millisecondsSinceEpoch
                tokens = tokens.filter { $0.key.expiresAtMs > now }
                if tokens.count >= Self.capacity { tokens.removeAll() }
            }
            tokens[admission] = token
        }
        return token
    }
}
