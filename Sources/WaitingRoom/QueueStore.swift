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
        var rulesVersion: Int64 = 1
        /// Of the latest leader, so that one before it stays shut out.
        var term: Int64 = 0
        var cleared: Int = 0
        /// The event is over: Redis needs none of this.
        var isClosed = false
    }

    struct Running: Sendable, Equatable {
        var event: EventID
        var epoch: Int64
        var needsDraw: Bool
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
                try await Self.prepare(event, transaction)
                head = try await Self.lock(event, transaction)
            }
            guard let head else { throw Problem(.eventNotFound, "There is no such event.") }
            if head.isClosed { return Places(epoch: head.epoch, needsDraw: false, isClosed: true, qseqs: [:]) }
            if head.needsDraw { return Places(epoch: head.epoch, needsDraw: true, qseqs: [:]) }
            var qseqs = try await Self.insert(names, in: event, head, transaction)
            // In a rush all are new, and nobody has to be looked for.
            if qseqs.count < users.count {
                let rows = try await transaction.query(
                    """
                    SELECT user_id, qseq FROM queue_entries
                    WHERE event_id = \(event.rawValue)::uuid AND user_id = ANY(\(names)::text[])
                      AND coalesce(state IN ('lobby', 'waiting', 'admitted'), false)
                    """
                )
                qseqs.merge(try Self.places(rows)) { $1 }
            }
            return Places(epoch: head.epoch, needsDraw: false, qseqs: qseqs)
        }
    }

    /// Each person is looked for by themselves, in the index of people. PostgreSQL knows nothing of a line that has just
    /// grown, and would rather read all of it, each time: `coalesce` keeps the indices of the line out of its sight.
    ///
    /// - Returns: those who were given a place now.
    private static func insert(
        _ names: [String],
        in event: EventID,
        _ head: Head,
        _ transaction: PostgresTransaction
    ) async throws -> [UserID: Int64?] {
        let rows = try await transaction.query(
            """
            WITH added AS (
                INSERT INTO queue_entries (event_id, user_id, qseq, state, ticket)
                SELECT \(event.rawValue)::uuid, w.user_id,
                       CASE WHEN \(head.isLobby) THEN NULL
                            ELSE \(head.nextQseq)::bigint - 1 + row_number() OVER (ORDER BY w.place) END,
                       CASE WHEN \(head.isLobby) THEN 'lobby' ELSE 'waiting' END,
                       CASE WHEN \(head.isLobby) THEN gen_random_uuid() END
                FROM unnest(\(names)::text[]) WITH ORDINALITY AS w (user_id, place)
                WHERE (SELECT true FROM users u WHERE u.user_id = w.user_id)
                  AND (
                    SELECT true FROM queue_entries e
                    WHERE e.event_id = \(event.rawValue)::uuid AND e.user_id = w.user_id
                      AND coalesce(e.state IN ('lobby', 'waiting', 'admitted'), false)
                    LIMIT 1
                  ) IS NULL
                RETURNING user_id, qseq
            ), raised AS (
                UPDATE queues SET next_qseq = next_qseq + (SELECT count(qseq) FROM added)
                WHERE event_id = \(event.rawValue)::uuid
            )
            SELECT user_id, qseq FROM added
            """
        )
        return try places(rows)
    }

    private static func places(_ rows: PostgresResult) throws -> [UserID: Int64?] {
        var qseqs: [UserID: Int64?] = [:]
        for row in rows {
            let (name, qseq) = try row.decode((String, Int64?).self)
            if let user = UserID(name) { qseqs.updateValue(qseq, forKey: user) }
        }
        return qseqs
    }

    /// Makes the queue of an event if it has none: its secret is chosen, and committed to, before anybody comes.
    static func prepare(_ event: EventID, _ transaction: PostgresTransaction) async throws {
        let secret = QueueSecret.random()
        _ = try await transaction.query(
            """
            INSERT INTO queues (event_id, secret, commitment)
            VALUES (\(event.rawValue)::uuid, \(secret.bytes)::bytea, \(secret.commitment))
            ON CONFLICT DO NOTHING
            """
        )
    }

    struct Head: Sendable {
        var epoch: Int64
        var nextQseq: Int64
        var isLobby: Bool
        var needsDraw: Bool
        var isClosed: Bool
        var isRosterClosed: Bool
    }

    static func lock(_ event: EventID, _ transaction: PostgresTransaction) async throws -> Head? {
        let rows = try await transaction.query(
            """
            SELECT q.epoch, q.next_qseq,
                   e.queue_mode = 'lobby' AND e.status = 'scheduled' AND q.roster_root IS NULL,
                   \(unescaped: needsDraw), e.status = 'closed', q.roster_root IS NOT NULL
            FROM queues q JOIN events e ON e.id = q.event_id
            WHERE q.event_id = \(event.rawValue)::uuid FOR UPDATE OF q
            """
        )
        return try rows.first.map { row in
            let (epoch, nextQseq, isLobby, needsDraw, isClosed, isRosterClosed) = try row.decode(
                (Int64, Int64, Bool, Bool, Bool, Bool).self
            )
            return Head(
                epoch: epoch,
                nextQseq: nextQseq,
                isLobby: isLobby,
                needsDraw: needsDraw,
                isClosed: isClosed,
                isRosterClosed: isRosterClosed
            )
        }
    }

    /// A roster that is closed is drawn, even if everybody in it has left.
    private static let needsDraw = """
        q.drawn_at IS NULL AND (q.roster_root IS NOT NULL OR e.status <> 'scheduled' AND EXISTS (
            SELECT 1 FROM queue_entries l WHERE l.event_id = e.id AND l.state = 'lobby'
        ))
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
        try await postgres.withTransaction { try await Self.end(places, in: event, $0) }
    }

    private static func end(
        _ places: [Int64],
        in event: EventID,
        _ transaction: PostgresTransaction
    ) async throws {
        _ = try await transaction.query(
            """
            UPDATE queue_entries SET state = 'expired', ended_at = now()
            WHERE event_id = \(event.rawValue)::uuid AND qseq = ANY(\(places)::bigint[])
              AND state IN ('waiting', 'admitted')
            """
        )
    }

    // MARK: Admission

    /// Each term of a leader has a higher number than all before it.
    func nextTerm() async throws -> Int64 {
        try await postgres.query("SELECT nextval('queue_leader_terms')").first?.decode(Int64.self) ?? 0
    }

    /// Writes down those whom a tick has chosen, and passes that have ended meanwhile.
    ///
    /// In this life of the queue only: an admission that arrives late finds another epoch, and changes nothing. Safe to
    /// repeat; nobody has been told of a pass before Redis has it, so the later end counts.
    ///
    /// - Parameter ended: places whose passes the same tick ended, also of those nobody noted as let in.
    /// - Returns: each of `chosen` with the end of the pass, without one if the place is over. nil in another life.
    func admit(
        _ chosen: [QueueAdmission],
        ended: [Int64],
        at now: ServerTime,
        passMs: Int64,
        epoch: Int64,
        in event: EventID
    ) async throws -> [QueueAdmission]? {
        try await postgres.withTransaction { transaction in
            let life = try await transaction.query(
                """
                SELECT 1 FROM queues WHERE event_id = \(event.rawValue)::uuid AND epoch = \(epoch)::bigint FOR SHARE
                """
            )
            guard !life.isEmpty else { return nil }
            if !ended.isEmpty { try await Self.end(ended, in: event, transaction) }
            let rows = try await transaction.query(
                """
                UPDATE queue_entries SET
                    state = 'admitted',
                    admitted_at_ms = coalesce(admitted_at_ms, \(now.millisecondsSinceEpoch)::bigint),
                    expires_at_ms = greatest(expires_at_ms, \(now.millisecondsSinceEpoch + passMs)::bigint)
                WHERE event_id = \(event.rawValue)::uuid AND qseq = ANY(\(chosen.map(\.qseq))::bigint[])
                  AND state IN ('waiting', 'admitted')
                RETURNING qseq, expires_at_ms
                """
            )
            var ends: [Int64: Int64] = [:]
            for row in rows {
                let (qseq, expiresAtMs) = try row.decode((Int64, Int64).self)
                ends[qseq] = expiresAtMs
            }
            return chosen.map { QueueAdmission(user: $0.user, qseq: $0.qseq, expiresAtMs: ends[$0.qseq]) }
        }
    }

    /// Redis has let them in: from here on their passes end.
    func note(letIn places: [Int64], in event: EventID) async throws {
        _ = try await postgres.query(
            """
            UPDATE queue_entries SET let_in = true
            WHERE event_id = \(event.rawValue)::uuid AND qseq = ANY(\(places)::bigint[])
            """
        )
    }

    /// Their turn came while they were away. The latest time is kept, for support.
    func note(passedOver places: [Int64], at now: ServerTime, in event: EventID) async throws {
        guard !places.isEmpty else { return }
        _ = try await postgres.query(
            """
            UPDATE queue_entries SET passed_over_at_ms = \(now.millisecondsSinceEpoch)::bigint
            WHERE event_id = \(event.rawValue)::uuid AND qseq = ANY(\(places)::bigint[])
            """
        )
    }

    /// Ends the passes whose time is over by Redis' clock, which decides. Until then a rebuild would only load them to
    /// end them.
    func expire(upTo now: ServerTime, in event: EventID) async throws {
        _ = try await postgres.query(
            """
            UPDATE queue_entries SET state = 'expired', ended_at = now()
            WHERE event_id = \(event.rawValue)::uuid AND state = 'admitted' AND let_in
              AND expires_at_ms <= \(now.millisecondsSinceEpoch)::bigint
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

    /// - Returns: nil if nobody ever queued for the event, or if it is closed: then nobody waits for anything.
    func epochUnlessClosed(_ event: EventID) async throws -> Int64? {
        try await postgres.query(
            """
            SELECT q.epoch FROM queues q JOIN events e ON e.id = q.event_id
            WHERE q.event_id = \(event.rawValue)::uuid AND e.status <> 'closed'
            """
        ).first?.decode(Int64.self)
    }

    /// Begins a new life of the queue and reads it whole: draws the lobby if its time has come, and empties the line if
    /// asked to.
    /// - Parameter order: of a roster that is closed, the entries in the order in which they go in.
    func renew(
        _ event: EventID,
        clearing: Bool,
        order: [Int64]?,
        now: ServerTime
    ) async throws -> Content? {
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
            } else if head.needsDraw, let order {
                try await Self.draw(order, event, transaction)
            }
            try await Self.letInAnew(event, now, transaction)
            let begun = try await transaction.query(
                """
                UPDATE queues SET epoch = epoch + 1 WHERE event_id = \(event.rawValue)::uuid
                RETURNING epoch, next_qseq
                """
            )
            guard let (epoch, nextQseq) = try begun.first?.decode((Int64, Int64).self) else { return nil }
            var content = Content(epoch: epoch, nextQseq: nextQseq, cleared: cleared, isClosed: head.isClosed)
            try await Self.read(&content, event, transaction)
            return content
        }
    }

    /// Who was written down, and perhaps never told, is let in by this life for the whole time of a pass, within the
    /// limit; the others wait again, at their place.
    private static func letInAnew(
        _ event: EventID,
        _ now: ServerTime,
        _ transaction: PostgresTransaction
    ) async throws {
        _ = try await transaction.query(
            """
            UPDATE queue_entries n SET
                let_in = r.fits,
                state = CASE WHEN r.fits THEN 'admitted' ELSE 'waiting' END,
                expires_at_ms = CASE WHEN r.fits THEN greatest(n.expires_at_ms, r.until) END
            FROM (
                SELECT l.id, \(now.millisecondsSinceEpoch)::bigint + e.queue_pass_seconds * 1000 AS until,
                       row_number() OVER (
                           ORDER BY l.let_in DESC, l.expires_at_ms > \(now.millisecondsSinceEpoch)::bigint DESC, l.qseq
                       ) <= e.queue_max_active AS fits
                FROM queue_entries l JOIN events e ON e.id = l.event_id
                WHERE l.event_id = \(event.rawValue)::uuid AND l.state = 'admitted'
                  AND NOT (l.let_in AND l.expires_at_ms <= \(now.millisecondsSinceEpoch)::bigint)
            ) AS r
            WHERE n.id = r.id AND NOT n.let_in
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
            SELECT max(n.admitted_at_ms), count(n.admitted_at_ms), max(e.queue_version),
                   (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM queue_leader_terms)
            FROM events e LEFT JOIN queue_entries n ON n.event_id = e.id
            WHERE e.id = \(event.rawValue)::uuid
            """
        )
        if let (last, count, version, term) = try totals.first?.decode((Int64?, Int, Int64?, Int64).self) {
            content.lastAdmittedMs = last
            content.admittedTotal = count
            content.rulesVersion = version ?? 1
            content.term = term
        }
    }
}
