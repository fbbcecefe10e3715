package import HoldfastCore
import Postgres
import Redis

/// One step of a person's way through the waiting room.
package struct QueueHistoryEntry: Sendable, Equatable {
    package enum Step: String, Sendable {
        case joined
        /// Their turn came while they were away; the place is kept.
        case passedOver = "passed-over"
        case admitted
        case passExpired = "pass-expired"
        case left, cleared
    }

    package let at: ServerTime
    package let step: Step
    /// The number drawn at the door; nil in the lobby.
    package let place: Int64?
    /// Of the pass, with `admitted`.
    package let expiresAt: ServerTime?
}

extension WaitingRoom {
    /// The newest steps of a person in an event's queue, oldest first, as PostgreSQL knows them: an admission is there
    /// within a second.
    package func history(of user: UserID, in event: EventID, limit: Int) async throws -> [QueueHistoryEntry] {
        let rows = try await store.postgres.query(
            """
            SELECT qseq, state, (extract(epoch FROM joined_at) * 1000)::bigint, passed_over_at_ms, admitted_at_ms,
                expires_at_ms, (extract(epoch FROM ended_at) * 1000)::bigint
            FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND user_id = \(user.rawValue)
            ORDER BY id DESC LIMIT \(limit)::bigint
            """
        )
        var entries: [QueueHistoryEntry] = []
        for row in rows.reversed() {
            let (place, state, joinedMs, passedOverMs, admittedMs, expiresMs, endedMs) = try row.decode(
                (Int64?, String, Int64, Int64?, Int64?, Int64?, Int64?).self
            )
            func add(_ step: QueueHistoryEntry.Step, _ atMs: Int64?, until expiresMs: Int64? = nil) {
                guard let atMs else { return }
                entries.append(
                    QueueHistoryEntry(
                        at: ServerTime(millisecondsSinceEpoch: atMs),
                        step: step,
                        place: place,
                        expiresAt: expiresMs.map { ServerTime(millisecondsSinceEpoch: $0) }
                    )
                )
            }
            add(.joined, joinedMs)
            add(.passedOver, passedOverMs)
            add(.admitted, admittedMs, until: expiresMs)
            switch state {
            case "expired": add(.passExpired, endedMs)
            case "left": add(.left, endedMs)
            case "cleared": add(.cleared, endedMs)
            default: break
            }
        }
        return entries
    }

}
