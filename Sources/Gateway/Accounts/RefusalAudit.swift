import HoldfastCore
import Sessions
import Synchronization

/// Which refusals of the throttle are news to the audit log.
///
/// They cost an attacker nothing, so a line for each would let anybody fill the log. One a minute for an account and an
/// address says as much.
///
/// - Bounds: 10,000 pairs; beyond it all are forgotten, and the next of each is news again.
final class RefusalAudit: Sendable {
    private struct Pair: Hashable {
        let user: UserID?
        let address: String
    }

    private static let most = 10_000
    private static let interval = Duration.seconds(60)

    private let last = Mutex<[Pair: ContinuousClock.Instant]>([:])

    func isNews(of user: UserID?, from address: String, now: ContinuousClock.Instant = .now) -> Bool {
        last.withLock { last in
            let pair = Pair(user: user, address: address)
            if let before = last[pair], now - before < Self.interval { return false }
            if last.count >= Self.most { last = [:] }
            last[pair] = now
            return true
        }
    }
}

extension AuditLog {
    /// Something that an administrator did to an event.
    func record(
        _ action: String,
        of event: EventID,
        by admin: SignedIn,
        _ context: GatewayContext,
        _ facts: [String: String] = [:]
    ) async throws {
        try await record(action, of: event, actor: admin.userID, address: context.ipAddress, facts: facts)
    }
}
