package import HoldfastCore
package import Postgres
package import Redis

/// One step of a person's hold.
package struct SeatHistoryEntry: Sendable, Equatable {
    package enum Action: String, Sendable {
        case held, extended
        /// Given back by its holder.
        case released
        /// Its time was over.
        case expired
        /// PostgreSQL had given the seats to somebody else: Redis was wiped, or a process slept through its hold.
        case lost
        /// An administrator took the seats off sale.
        case blocked
        /// Redis was lost, and every hold with it. The entry is the event's, not the person's.
        case wiped
    }

    package let at: ServerTime
    package let action: Action
    package let seats: [SeatID]
}

/// What became of holds: written by the seat scripts into a stream beside the seats, kept in PostgreSQL.
///
/// An action costs no round trip for it, and what was moved survives Redis and the event's end. Moving is safe to repeat
/// and to do twice at once: an entry's id in the stream makes it come to PostgreSQL once.
package struct SeatHistory: Sendable {
    /// Entries of one event moved in one go.
    static let batch = 1_000
    /// Entries in one statement: a large one costs PostgreSQL half as much for each as one of forty.
    private static let statementSize = 4_000

    private let redis: RedisClient
    private let postgres: PostgresClient

    package init(redis: RedisClient, postgres: PostgresClient) {
        self.redis = redis
        self.postgres = postgres
    }

    /// The newest steps of a person's holds in an event, oldest first; what Redis still has included.
    ///
    /// - Returns: `isComplete` is false if Redis could not be asked for its last entries.
    package func entries(
        of user: UserID,
        in event: EventID,
        limit: Int
    ) async throws -> (entries: [SeatHistoryEntry], isComplete: Bool) {
        var isComplete = true
        do {
            while try await move([event]) { try Task.checkCancellation() }
        } catch is RedisError {
            isComplete = false
        }
        let rows = try await postgres.query(
            """
            SELECT at_ms, action, seats, id FROM (
                SELECT id, at_ms, action, seats FROM seat_history
                WHERE event_id = \(event.rawValue)::uuid AND user_id = \(user.rawValue)
                ORDER BY id DESC LIMIT \(limit)::bigint
            ) AS steps
            UNION ALL
            SELECT (extract(epoch FROM raised_at) * 1000)::bigint, 'wiped', '', 0 FROM seat_epochs
            WHERE event_id = \(event.rawValue)::uuid AND epoch > 1
            ORDER BY at_ms, id
            """
        )
        let entries = try rows.map { row in
            let (atMs, action, seats, _) = try row.decode((Int64, String, String, Int64).self)
            guard let action = SeatHistoryEntry.Action(rawValue: action) else {
                throw PostgresError(.decoding, "seat history: a row that no release of ours wrote")
            }
            return SeatHistoryEntry(
                at: ServerTime(millisecondsSinceEpoch: atMs),
                action: action,
                seats: seats.split(separator: "\n").compactMap { SeatID(String($0)) }
            )
        }
        return (entries, isComplete)
    }

    /// Moves the oldest entries of events to PostgreSQL, at most ``batch`` of each.
    ///
    /// - Returns: whether there may be more.
    func move(_ events: [EventID]) async throws -> Bool {
        guard !events.isEmpty else { return false }
        let replies = try await redis.send(
            events.map {
                RedisCommand(
                    "XRANGE",
                    RedisArgument(SeatingKeys(event: $0).history),
                    "-",
                    "+",
                    "COUNT",
                    RedisArgument(Self.batch)
                )
            }
        )
        var isMore = false
        var entries: [Entry] = []
        var trims: [RedisCommand] = []
        for (event, reply) in zip(events, replies) {
            if let failure = reply.failure { throw failure }
            let steps = reply.array ?? []
            for step in steps { if let entry = Entry(step, of: event) { entries.append(entry) } }
            guard let last = entries.last, last.event == event else { continue }
            let key = RedisArgument(SeatingKeys(event: event).history)
            trims.append(RedisCommand("XTRIM", key, "MINID", RedisArgument(last.next)))
            if steps.count == Self.batch { isMore = true }
        }
        for first in stride(from: 0, to: entries.count, by: Self.statementSize) {
            try await write(entries[first..<min(first + Self.statementSize, entries.count)])
        }
        _ = try await redis.send(trims)
        return isMore
    }

    /// Entries of an event that was deleted meanwhile have nowhere to go, and are no loss.
    private func write(_ entries: ArraySlice<Entry>) async throws {
        _ = try await postgres.query(
            """
            INSERT INTO seat_history (event_id, entry_id, user_id, action, seats, at_ms)
            SELECT events.id, entry.id, entry.user_id, entry.action, entry.seats, entry.at_ms
            FROM unnest(
                \(entries.map(\.event.rawValue))::uuid[], \(entries.map(\.id))::text[], \(entries.map(\.user))::text[],
                \(entries.map(\.action))::text[], \(entries.map(\.seats))::text[], \(entries.map(\.atMs))::bigint[]
            ) WITH ORDINALITY AS entry (event_id, id, user_id, action, seats, at_ms, place)
            JOIN events ON events.id = entry.event_id
            ORDER BY entry.place
            ON CONFLICT (event_id, entry_id) DO NOTHING
            """
        )
    }
}

/// An entry of the stream: `a` action, `u` user, `s` seats, one a line. Its id begins with Redis' time.
private struct Entry {
    let event: EventID
    let id: String
    let atMs: Int64
    /// The least id that is greater.
    let next: String
    let user: String
    let action: String
    let seats: String

    init?(_ value: RESPValue, of event: EventID) {
        // Names and values in turn, in the order in which the scripts write them.
        guard let parts = value.array, parts.count == 2, let id = parts[0].string, let fields = parts[1].array,
            fields.count >= 6, fields[0].string == "a", let action = fields[1].string,
            fields[2].string == "u", let user = fields[3].string, fields[4].string == "s", let seats = fields[5].string
        else { return nil }
        guard let dash = id.firstIndex(of: "-"), let atMs = Int64(id[..<dash]),
            let number = UInt64(id[id.index(after: dash)...]), number < .max
        else { return nil }
        self.event = event
        self.id = id
        self.atMs = atMs
        self.next = "\(atMs)-\(number + 1)"
        self.user = user
        self.action = action
        self.seats = seats
    }
}
