import HoldfastCore
import Logging
import Postgres
import Redis

/// Which life of an event's seat state is current, as PostgreSQL knows it.
enum SeatEpochs {
    /// 0 when the event has had none yet.
    static func current(of event: EventID, in postgres: PostgresClient) async throws -> Int64 {
        let rows = try await postgres.query(
            "SELECT epoch FROM seat_epochs WHERE event_id = \(event.rawValue)::uuid"
        )
        return try rows.first?.decode(Int64.self) ?? 0
    }
}

/// Loads an event's claimed seats from PostgreSQL into a Redis that has lost them.
///
/// The order is the point. First the epoch is raised in PostgreSQL, under the lock that every claim takes shared: claims
/// under way finish before and are seen by the load, and claims with an older fence are refused afterwards. Then the old
/// life in Redis ends, so that whoever commits from now on waits for the new one to tell it. Then the claims are read,
/// then written in steps that each hold Redis up for a millisecond, the new epoch with the last. Claims given back in
/// between are in the outbox and freed later. Dying at any point leaves Redis without an epoch, so the next visitor
/// starts again.
///
/// A closed event is not rebuilt: nothing can happen to its seats in Redis any more, and what is there of it was archived,
/// or will be. Whether it is closed is asked under the lock under which the state is removed, so nothing comes back.
struct SeatRebuild: Sendable {
    let redis: RedisClient
    let postgres: PostgresClient
    let event: EventID
    let logger: Logger

    /// Messages of one life never reach the next life's first number: at 10,000 a second that takes 27 hours of
    /// uninterrupted sale. JavaScript counts exactly up to the 9 millionth life.
    static let messagesPerEpoch: Int64 = 1_000_000_000

    /// Claims in one step.
    private static let step = 500

    /// How long to wait for another instance's rebuild before the caller is told to come back.
    private static let patience: Duration = .seconds(1)

    /// - Parameter known: a life that must be over, however whole Redis seems; nil to mend only what is lost.
    /// - Returns: nil when the event is closed or deleted.
    func run(after known: Int64?) async throws -> Int64? {
        try await alone { try await runLocked($0, after: known) }
    }

    /// Removes the state from Redis.
    func end() async throws {
        let keys = SeatingKeys(event: event).all.map { RedisArgument($0) }
        try await alone { _ in _ = try await redis.send(RedisCommand("UNLINK", arguments: keys)) }
    }

    private func alone<Result: Sendable>(
        _ body: (PostgresConnection) async throws -> Result
    ) async throws -> Result {
        let clock = ContinuousClock()
        let deadline = clock.now + Self.patience
        repeat {
            if let result = try await ifAlone(body) { return result }
            try await Task.sleep(for: .milliseconds(50))
        } while clock.now < deadline
        throw Problem(.rebuilding, "The seats of this event are being restored. Please try again in a moment.")
    }

    /// Nil when another instance is at it.
    private func ifAlone<Result: Sendable>(
        _ body: (PostgresConnection) async throws -> Result
    ) async throws -> Result? {
        // The lock is the connection's, not a transaction's: Redis is awaited while it is held, and a connection that
        // dies gives it back.
        try await postgres.withConnection { connection in
            let lock = "hf:seats:rebuild:\(event)"
            let locked = try await connection.query(
                "SELECT pg_try_advisory_lock(hashtextextended(\(lock), 0))"
            )
            guard let row = locked.first, try row.decode(Bool.self) else { return nil }
            let result: Result
            do {
                result = try await body(connection)
            } catch {
                _ = try? await connection.query("SELECT pg_advisory_unlock(hashtextextended(\(lock), 0))")
                throw error
            }
            _ = try await connection.query("SELECT pg_advisory_unlock(hashtextextended(\(lock), 0))")
            return .some(result)
        }
    }

    private func runLocked(_ connection: PostgresConnection, after known: Int64?) async throws -> Int64? {
        let keys = SeatingKeys(event: event)
        let lives = try await connection.query(
            """
            SELECT seat_epochs.epoch, events.status = 'closed'
            FROM events LEFT JOIN seat_epochs ON seat_epochs.event_id = events.id
            WHERE events.id = \(event.rawValue)::uuid
            """
        )
        guard let (current, isClosed) = try lives.first?.decode((Int64?, Bool).self) else { return nil }
        let inRedis = try await redis.send(RedisCommand("HGET", RedisArgument(keys.meta), "epoch")).int
        // Rebuilt by another while we came here.
        if let inRedis, let current, Int64(inRedis) >= current, known.map({ current > $0 }) ?? true {
            return Int64(inRedis)
        }
        if isClosed { return nil }
        // Redis may be ahead when PostgreSQL was restored from a backup; the next life is above both.
        let raised = try await connection.query(
            """
            WITH locked AS (SELECT pg_advisory_xact_lock(hashtextextended(\(SoldSeats.epochLock(event)), 0)))
            INSERT INTO seat_epochs AS known (event_id, epoch)
            SELECT \(event.rawValue)::uuid, \(Int64(inRedis ?? 0))::bigint + 1 FROM locked
            ON CONFLICT (event_id) DO UPDATE
            SET epoch = greatest(known.epoch + 1, excluded.epoch), raised_at = clock_timestamp()
            RETURNING epoch
            """
        )
        guard let epoch = try raised.first?.decode(Int64.self) else {
            throw Problem(.rebuilding, "The seats of this event are being restored. Please try again in a moment.")
        }
        let places = try await connection.query(
            "SELECT count(*) FROM seats WHERE event_id = \(event.rawValue)::uuid"
        )
        let count = try places.first?.decode(Int.self) ?? 0
        _ = try await redis.eval(
            SeatScript.rebuild,
            keys: keys.all,
            arguments: ["begin", RedisArgument(epoch), RedisArgument(count)]
        )
        let pairs = try await claims(connection)
        // Whoever comes first has nothing to forget.
        let isFirst = current == nil && inRedis == nil
        for step in Self.steps(pairs, epoch: epoch, channel: isFirst ? "" : keys.channel) {
            let reply = try await redis.eval(SeatScript.rebuild, keys: keys.all, arguments: step)
            // A later life took over, or this one was lost again: whoever called looks once more.
            guard try SeatReply(reply, of: SeatScript.rebuild).status == .ok else { return epoch }
        }
        logger.notice("seat state rebuilt", metadata: ["event.id": "\(event)", "claims": "\(pairs.count / 2)"])
        return epoch
    }

    /// Every place that is claimed or off sale, and what is to be written of it, one after the other.
    private func claims(_ connection: PostgresConnection) async throws -> [RedisArgument] {
        let claims = try await connection.query(
            """
            SELECT s.ordinal, s.seat_id, c.user_id, c.reservation_id::text, c.claim_number
            FROM seats s
            LEFT JOIN seat_claims c ON c.event_id = s.event_id AND c.seat_id = s.seat_id AND c.live
            WHERE s.event_id = \(event.rawValue)::uuid AND (s.blocked OR c.seat_id IS NOT NULL)
            """
        )
        var pairs: [RedisArgument] = []
        pairs.reserveCapacity(claims.count * 2)
        for row in claims {
            let (ordinal, seat, user, reservation, number) = try row.decode(
                (Int, String, String?, String?, Int?).self
            )
            pairs.append(RedisArgument("\(ordinal):\(seat)"))
            pairs.append(RedisArgument(WrittenClaim.text(user, reservation, number) ?? WrittenClaim.blocked))
        }
        return pairs
    }

    /// What follows the beginning.
    ///
    /// - Parameter pairs: place and claim, one after the other.
    static func steps(_ pairs: [RedisArgument], epoch: Int64, channel: String) -> [[RedisArgument]] {
        var steps = stride(from: 0, to: pairs.count, by: 2 * step).map { start in
            ["claims", RedisArgument(epoch)] + pairs[start..<min(start + 2 * step, pairs.count)]
        }
        let (seq, count) = ((epoch - 1) * messagesPerEpoch, pairs.count / 2)
        steps.append(["finish", RedisArgument(epoch), RedisArgument(seq), RedisArgument(channel), RedisArgument(count)])
        return steps
    }
}
