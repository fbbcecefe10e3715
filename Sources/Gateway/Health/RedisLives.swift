import AsyncAlgorithms
import HoldfastCore
import Logging
import Postgres
import Redis
import Seating
import ServiceLifecycle
import WaitingRoom

/// Builds events anew whose state in Redis is of another life than the one PostgreSQL remembers.
///
/// A wiped Redis shows itself: the epoch is missing. One that comes back from an old file, or a replica that was promoted
/// without the last writes, has the right epoch and the wrong seats. Both serve from another history, which has another
/// replication id. Looked at whenever a connection meets one, and every 5 s for events that are new.
///
/// A restart that lost nothing looks the same, and is answered alike: holds end, nothing else. Slots that merely move to
/// another server of a cluster are told from that: the history they come from is still served.
struct RedisLives: Service {
    let redis: RedisClient
    let postgres: PostgresClient
    let seating: Seating
    let waitingRoom: WaitingRoom
    let logger: Logger

    private static let period = Duration.seconds(5)
    private static let pause = Duration.milliseconds(250)

    enum Verdict: Equatable {
        /// The history is the one remembered, or nothing can be said now.
        case same
        /// Remember this one; the state is whole.
        case note(String)
        case rebuild(String)
    }

    /// - Parameter before: the histories served when this instance looked last; nil at the first look.
    static func judge(remembered: String?, owner: String?, served: Set<String>, before: Set<String>? = nil) -> Verdict {
        guard let owner, owner != remembered else { return .same }
        guard let remembered else {
            // An event so new that nobody has looked at it: its state may be older than this history.
            return before?.contains(owner) == false ? .rebuild(owner) : .note(owner)
        }
        return served.contains(remembered) ? .note(owner) : .rebuild(owner)
    }

    func run() async throws {
        // One pending look is enough: it looks at everything.
        let (looks, look) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        redis.onReplicationChange { look.yield() }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    look.yield()
                    for await _ in AsyncTimerSequence(interval: Self.period, clock: .continuous) { look.yield() }
                }
                var served: Set<String>?
                for await _ in looks { served = await self.lookUntilDone(served) ?? served }
                group.cancelAll()
            }
        }
    }

    /// - Returns: the histories that are served now; nil when cancelled.
    private func lookUntilDone(_ before: Set<String>?) async -> Set<String>? {
        while !Task.isCancelled {
            do {
                if let served = try await self.look(before) { return served }
            } catch {
                logger.debug("redis lives not looked at", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.pause)
        }
        return nil
    }

    /// - Returns: nil when another instance rebuilds an event, and it has to be seen whether it succeeds.
    func look(_ before: Set<String>?) async throws -> Set<String>? {
        let replications = try await redis.replications()
        let rows = try await postgres.query(
            """
            SELECT e.id::text, l.replication_id FROM events e LEFT JOIN redis_lives l ON l.event_id = e.id
            WHERE e.status <> 'closed' AND (
                EXISTS (SELECT FROM seat_epochs s WHERE s.event_id = e.id)
                OR EXISTS (SELECT FROM queues q WHERE q.event_id = e.id)
            )
            ORDER BY e.listing DESC
            """
        )
        var isDone = true
        for row in rows {
            let (text, remembered) = try row.decode((String, String?).self)
            guard let event = EventID(text) else { continue }
            let owner = replications.id(of: SeatingKeys(event: event).meta)
            switch Self.judge(remembered: remembered, owner: owner, served: replications.all, before: before) {
            case .same: break
            case .note(let id): try await note(id, event, instead: remembered)
            case .rebuild(let id): isDone = try await rebuild(event, id, instead: remembered) && isDone
            }
        }
        return isDone ? replications.all : nil
    }

    /// Unless another instance has noted something else meanwhile.
    private func note(_ id: String, _ event: EventID, instead remembered: String?) async throws {
        _ = try await postgres.query(
            """
            INSERT INTO redis_lives AS life (event_id, replication_id) VALUES (\(event.rawValue)::uuid, \(id))
            ON CONFLICT (event_id) DO UPDATE SET replication_id = \(id), noted_at = clock_timestamp()
            WHERE life.replication_id = \(remembered ?? id)
            """
        )
    }

    /// The life of the seats that a history of Redis found when it took over, as whoever met it first saw it.
    private func found(by id: String, _ event: EventID, _ connection: PostgresConnection) async throws -> Int64 {
        let rows = try await connection.query(
            """
            INSERT INTO redis_successions AS known (event_id, replication_id, seat_epoch)
            SELECT \(event.rawValue)::uuid, \(id),
                   coalesce((SELECT epoch FROM seat_epochs WHERE event_id = \(event.rawValue)::uuid), 0)
            ON CONFLICT (event_id) DO UPDATE SET
                seat_epoch = CASE WHEN known.replication_id = excluded.replication_id THEN known.seat_epoch
                                  ELSE excluded.seat_epoch END,
                replication_id = excluded.replication_id
            RETURNING seat_epoch
            """
        )
        return try rows.first?.decode(Int64.self) ?? 0
    }

    /// - Returns: false when another instance is at it.
    private func rebuild(_ event: EventID, _ id: String, instead remembered: String?) async throws -> Bool {
        // The connection's lock, not a transaction's: Redis is awaited while it is held.
        try await postgres.withConnection { connection in
            let lock = "hf:redis:life:\(event)"
            let locked = try await connection.query("SELECT pg_try_advisory_lock(hashtextextended(\(lock), 0))")
            guard let row = locked.first, try row.decode(Bool.self) else { return false }
            do {
                let known = try await connection.query(
                    "SELECT replication_id FROM redis_lives WHERE event_id = \(event.rawValue)::uuid"
                )
                if try known.first?.decode(String.self) == remembered {
                    logger.notice("redis has another history", metadata: ["event.id": "\(event)"])
                    // Whatever fails is tried again, here or by another instance. A life of the seats that has begun
                    // in this history stays: a second one would end the holds that were granted since.
                    let found = try await self.found(by: id, event, connection)
                    try await waitingRoom.rebuild(event)
                    try await seating.rebuild(event, after: found)
                    try await note(id, event, instead: remembered)
                }
            } catch {
                _ = try? await connection.query("SELECT pg_advisory_unlock(hashtextextended(\(lock), 0))")
                throw error
            }
            _ = try await connection.query("SELECT pg_advisory_unlock(hashtextextended(\(lock), 0))")
            return true
        }
    }
}
