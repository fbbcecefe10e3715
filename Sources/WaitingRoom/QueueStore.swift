import Events
import HoldfastCore
import Postgres

/// The SQL of the waiting room. PostgreSQL decides the order; Redis serves it.
struct QueueStore: Sendable {
    /// What a join found or made in PostgreSQL.
    struct Places: Sendable {
        var epoch: Int64
        /// The event has opened while people wait for the draw: nobody may be put behind them before it.
        var needsDraw: Bool
        /// The event is over: nobody is given a place any more.
        var isClosed = false
        /// nil for a place in the lobby. Users that do not exist are missing.
        var qseqs: [UserID: Int64?]
    }

    /// A whole queue, as it is loaded into an empty Redis.
    struct Content: Sendable {
        var epoch: Int64
        var nextQseq: Int64
        var waiting: [(user: String, qseq: Int64)] = []
        var passes: [(user: String, qseq: Int64, expiresAtMs: Int64)] = []
        var lobby: [String] = []
        var lastAdmittedMs: Int64?
        var admittedTotal: Int = 0
        var cleared: Int = 0
    }

    struct Running: Sendable, Equatable {
        var event: EventID
        var epoch: Int64
        var needsDraw: Bool
    }

    /// What happened to a place in Redis and is not yet in PostgreSQL.
    struct Change: Sendable, Equatable {
        var qseq: Int64
        var admittedAtMs: Int64?
        var expiresAtMs: Int64?
        var ended = false
    }

    /// Queues served at once by one leader; the newest events win.
    static let maxRunning = 1_000

    let postgres: PostgresClient

    // MARK: Line

    /// Gives each of `users` a place, or finds the one they have.
    ///
    /// The row lock makes places commit in their order, so nobody ever sees a place before a lower one is durable.
    func join(_ users: [UserID], in event: EventID) async throws -> Places {
        let names = users.map(\.rawValue)
        return try await postgres.withTransaction { transaction in
            var head = try await Self.lock(event, transaction)
            if head == nil {
                let secret = QueueSecret.random()
                _ = try await transaction.query(
                    """
                    INSERT INTO queues (event_id, secret, commitment)
                    VALUES (\(event.rawValue)::uuid, \(secret.bytes)::bytea, \(secret.commitment))
                    ON CONFLICT DO NOTHING
                    """
                )
                head = try await Self.lock(event, transaction)
            }
            guard let head else { throw Problem(.eventNotFound, "There is no such event.") }
            if head.isClosed { return Places(epoch: head.epoch, needsDraw: false, isClosed: true, qseqs: [:]) }
            if head.needsDraw { return Places(epoch: head.epoch, needsDraw: true, qseqs: [:]) }
            let added = try await transaction.query(
                """
                INSERT INTO queue_entries (event_id, user_id, qseq, state)
                SELECT \(event.rawValue)::uuid, w.user_id,
                       CASE WHEN \(head.isLobby) THEN NULL
                            ELSE \(head.nextQseq)::bigint - 1 + row_number() OVER (ORDER BY w.place) END,
                       CASE WHEN \(head.isLobby) THEN 'lobby' ELSE 'waiting' END
                FROM unnest(\(names)::text[]) WITH ORDINALITY AS w (user_id, place)
                JOIN users ON users.user_id = w.user_id
                WHERE NOT EXISTS (
                    SELECT 1 FROM queue_entries e
                    WHERE e.event_id = \(event.rawValue)::uuid AND e.user_id = w.user_id
                      AND e.state IN ('lobby', 'waiting', 'admitted')
                )
                """
            )
            if added.affectedRows > 0, !head.isLobby {
                _ = try await transaction.query(
                    """
                    UPDATE queues SET next_qseq = next_qseq + \(added.affectedRows)::bigint
                    WHERE event_id = \(event.rawValue)::uuid
                    """
                )
            }
            let rows = try await transaction.query(
                """
                SELECT user_id, qseq FROM queue_entries
                WHERE event_id = \(event.rawValue)::uuid AND user_id = ANY(\(names)::text[])
                  AND state IN ('lobby', 'waiting', 'admitted')
                """
            )
            var qseqs: [UserID: Int64?] = [:]
            for row in rows {
                let (name, qseq) = try row.decode((String, Int64?).self)
                if let user = UserID(name) { qseqs.updateValue(qseq, forKey: user) }
            }
            return Places(epoch: head.epoch, needsDraw: false, qseqs: qseqs)
        }
    }

    private struct Head: Sendable {
        var epoch: Int64
        var nextQseq: Int64
        var isLobby: Bool
        var needsDraw: Bool
        var isClosed: Bool
    }

    private static func lock(_ event: EventID, _ transaction: PostgresTransaction) async throws -> Head? {
        let rows = try await transaction.query(
            """
            SELECT q.epoch, q.next_qseq,
                   e.queue_mode = 'lobby' AND e.status = 'scheduled' AND q.drawn_at IS NULL,
                   \(unescaped: needsDraw), e.status = 'closed'
            FROM queues q JOIN events e ON e.id = q.event_id
            WHERE q.event_id = \(event.rawValue)::uuid FOR UPDATE OF q
            """
        )
        return try rows.first.map { row in
            let (epoch, nextQseq, isLobby, needsDraw, isClosed) = try row.decode((Int64, Int64, Bool, Bool, Bool).self)
            return Head(
                epoch: epoch,
                nextQseq: nextQseq,
                isLobby: isLobby,
                needsDraw: needsDraw,
                isClosed: isClosed
            )
        }
    }

    private static let needsDraw = """
        e.status <> 'scheduled' AND EXISTS (
            SELECT 1 FROM queue_entries l WHERE l.event_id = e.id AND l.state = 'lobby'
        )
        """

    /// - Returns: the place that ended now, and the highest place of the user that is over, 0 for none.
    func leave(_ user: UserID, in event: EventID) async throws -> (ended: Int64, over: Int64) {
        let ended = try await postgres.query(
            """
            UPDATE queue_entries SET state = 'left', ended_at = now()
            WHERE event_id = \(event.rawValue)::uuid AND user_id = \(user.rawValue)
              AND state IN ('lobby', 'waiting', 'admitted')
            RETURNING coalesce(qseq, 0)
            """
        )
        let over = try await postgres.query(
            """
            SELECT coalesce(max(qseq), 0) FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND user_id = \(user.rawValue)
              AND state NOT IN ('lobby', 'waiting', 'admitted')
            """
        )
        return (try ended.first?.decode(Int64.self) ?? 0, try over.first?.decode(Int64.self) ?? 0)
    }

    /// Ends places of which Redis says that they are used up.
    func end(_ places: [Int64], in event: EventID) async throws {
        _ = try await postgres.query(
            """
            UPDATE queue_entries SET state = 'expired', ended_at = now()
            WHERE event_id = \(event.rawValue)::uuid AND qseq = ANY(\(places)::bigint[])
              AND state IN ('waiting', 'admitted')
            """
        )
    }

    // MARK: Admission

    /// Writes what the leader's ticks did. Each place only moves forward, so a repeated or late write changes nothing.
    func settle(_ changes: [Change], in event: EventID) async throws {
        _ = try await postgres.query(
            """
            UPDATE queue_entries e SET
                state = CASE WHEN c.ended THEN 'expired' ELSE 'admitted' END,
                admitted_at_ms = coalesce(c.admitted_at_ms, e.admitted_at_ms),
                expires_at_ms = coalesce(c.expires_at_ms, e.expires_at_ms),
                ended_at = CASE WHEN c.ended THEN now() END
            FROM unnest(
                \(changes.map(\.qseq))::bigint[], \(changes.map(\.admittedAtMs))::bigint[],
                \(changes.map(\.expiresAtMs))::bigint[], \(changes.map(\.ended))::boolean[]
            ) AS c (qseq, admitted_at_ms, expires_at_ms, ended)
            WHERE e.event_id = \(event.rawValue)::uuid AND e.qseq = c.qseq
              AND (e.state = 'waiting' OR (e.state = 'admitted' AND c.ended))
            """
        )
    }

    /// The queues that a leader has to serve.
    func running() async throws -> [Running] {
        let rows = try await postgres.query(
            """
            SELECT e.id::text, q.epoch, \(unescaped: Self.needsDraw)
            FROM queues q JOIN events e ON e.id = q.event_id
            WHERE e.queue_enabled AND e.status <> 'closed'
            ORDER BY e.listing DESC LIMIT \(Self.maxRunning)::bigint
            """
        )
        return try rows.compactMap { row in
            let (id, epoch, needsDraw) = try row.decode((String, Int64, Bool).self)
            return EventID(id).map { Running(event: $0, epoch: epoch, needsDraw: needsDraw) }
        }
    }

    // MARK: Rebuild

    /// - Returns: nil if nobody ever queued for the event.
    func epoch(of event: EventID) async throws -> Int64? {
        try await postgres.query("SELECT epoch FROM queues WHERE event_id = \(event.rawValue)::uuid")
            .first?.decode(Int64.self)
    }

    /// Begins a new life of the queue and reads it whole: draws the lobby if its time has come, and empties the line if
    /// asked to.
    func renew(_ event: EventID, clearing: Bool) async throws -> Content? {
        try await postgres.withTransaction { transaction in
            guard let head = try await Self.lock(event, transaction) else { return nil }
            var cleared = 0
            if clearing {
                cleared = try await transaction.query(
                    """
                    UPDATE queue_entries SET state = 'cleared', ended_at = now()
                    WHERE event_id = \(event.rawValue)::uuid AND state IN ('lobby', 'waiting')
                    """
                ).affectedRows
            } else if head.needsDraw {
                try await Self.draw(event, transaction)
            }
            let begun = try await transaction.query(
                """
                UPDATE queues SET epoch = epoch + 1 WHERE event_id = \(event.rawValue)::uuid
                RETURNING epoch, next_qseq
                """
            )
            guard let (epoch, nextQseq) = try begun.first?.decode((Int64, Int64).self) else { return nil }
            var content = Content(epoch: epoch, nextQseq: nextQseq, cleared: cleared)
            try await Self.read(&content, event, transaction)
            return content
        }
    }

    /// Orders the lobby by a permutation that only the secret decides, and gives the places out in that order.
    private static func draw(_ event: EventID, _ transaction: PostgresTransaction) async throws {
        let drawn = try await transaction.query(
            """
            UPDATE queue_entries e SET state = 'waiting', qseq = d.qseq
            FROM (
                SELECT l.id, q.next_qseq - 1 + row_number() OVER (
                    ORDER BY sha256(q.secret || convert_to(l.user_id, 'UTF8')), l.user_id
                ) AS qseq
                FROM queue_entries l JOIN queues q ON q.event_id = l.event_id
                WHERE l.event_id = \(event.rawValue)::uuid AND l.state = 'lobby'
            ) AS d
            WHERE e.id = d.id
            """
        )
        _ = try await transaction.query(
            """
            UPDATE queues SET next_qseq = next_qseq + \(drawn.affectedRows)::bigint, drawn_at = now()
            WHERE event_id = \(event.rawValue)::uuid
            """
        )
    }

    private static func read(
        _ content: inout Content,
        _ event: EventID,
        _ transaction: PostgresTransaction
    ) async throws {
        let live = try await transaction.query(
            """
            SELECT user_id, state, coalesce(qseq, 0), coalesce(expires_at_ms, 0) FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND state IN ('lobby', 'waiting', 'admitted')
            ORDER BY qseq
            """
        )
        for row in live {
            let (user, state, qseq, expiresAtMs) = try row.decode((String, String, Int64, Int64).self)
            switch state {
            case "waiting": content.waiting.append((user, qseq))
            case "admitted": content.passes.append((user, qseq, expiresAtMs))
            default: content.lobby.append(user)
            }
        }
        let totals = try await transaction.query(
            """
            SELECT max(admitted_at_ms), count(admitted_at_ms) FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid
            """
        )
        if let (last, count) = try totals.first?.decode((Int64?, Int).self) {
            content.lastAdmittedMs = last
            content.admittedTotal = count
        }
    }
}
