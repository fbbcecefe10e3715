import Events
import HoldfastCore
import Postgres

// The lobby in PostgreSQL: its roster, closed at the opening, and the places that the draw gives.

extension QueueStore {
    /// Who is, or was when it closed, in the lobby.
    struct Roster: Sendable {
        struct Entry: Sendable, Equatable {
            var id: Int64
            var user: String
            var ticket: String
        }

        var commitment: String
        var secret: [UInt8]
        var isClosed: Bool
        var isDrawn: Bool
        var entries: [Entry]
    }

    /// Makes the queue of an event, so that its commitment is there before anybody comes.
    func prepare(_ event: EventID) async throws {
        try await postgres.withTransaction { try await Self.prepare(event, $0) }
    }

    /// - Returns: nil if the queue was not prepared.
    func roster(of event: EventID) async throws -> Roster? {
        // Of one moment, without holding up those who join.
        try await postgres.withTransaction(isolation: .repeatableRead) { transaction in
            let heads = try await transaction.query(
                """
                SELECT commitment, encode(secret, 'hex'), roster_root IS NOT NULL, drawn_at IS NOT NULL
                FROM queues WHERE event_id = \(event.rawValue)::uuid
                """
            )
            guard
                let (commitment, secret, isClosed, isDrawn) = try heads.first?.decode(
                    (String, String, Bool, Bool).self
                )
            else { return nil }
            let entries =
                isClosed
                ? try await Self.closedEntries(event, transaction) : try await Self.openEntries(event, transaction)
            return Roster(
                commitment: commitment,
                secret: LobbyDraw.bytes(hex: secret) ?? [],
                isClosed: isClosed,
                isDrawn: isDrawn,
                entries: entries
            )
        }
    }

    /// Closes the roster of an event that has opened: from here on nobody is added, and its root is published.
    ///
    /// A transaction of its own before the draw, so that the roster is on disk before any place is computed.
    ///
    /// - Returns: the closed roster while the draw is still to come; nil if none is.
    func closeRoster(_ event: EventID) async throws -> Roster? {
        let isDue = try await postgres.withTransaction { transaction in
            guard let head = try await Self.lock(event, transaction), head.needsDraw else { return false }
            guard !head.isRosterClosed else { return true }
            let entries = try await Self.openEntries(event, transaction)
            let tree = MerkleTree(leaves: entries.map { LobbyDraw.leaf(ticket: $0.ticket, user: $0.user) })
            _ = try await transaction.query(
                """
                UPDATE queue_entries e SET leaf = r.place - 1, ticket = r.ticket
                FROM unnest(\(entries.map(\.id))::bigint[], \(entries.map(\.ticket))::uuid[])
                     WITH ORDINALITY AS r (id, ticket, place)
                WHERE e.id = r.id
                """
            )
            _ = try await transaction.query(
                """
                UPDATE queues SET roster_root = \(LobbyDraw.hex(tree.root)), roster_size = \(entries.count)::bigint
                WHERE event_id = \(event.rawValue)::uuid
                """
            )
            return true
        }
        guard isDue, let roster = try await roster(of: event), roster.isClosed, !roster.isDrawn else { return nil }
        return roster
    }

    /// Gives the places out. Who left since the roster closed keeps the place drawn, which is then over.
    static func draw(_ order: [Int64], _ event: EventID, _ transaction: PostgresTransaction) async throws {
        _ = try await transaction.query(
            """
            UPDATE queue_entries e SET
                state = CASE WHEN e.state = 'lobby' THEN 'waiting' ELSE e.state END,
                qseq = q.next_qseq - 1 + d.rank
            FROM unnest(\(order)::bigint[]) WITH ORDINALITY AS d (id, rank), queues q
            WHERE e.id = d.id AND q.event_id = e.event_id
            """
        )
        _ = try await transaction.query(
            """
            UPDATE queues SET next_qseq = next_qseq + \(order.count)::bigint, drawn_at = now()
            WHERE event_id = \(event.rawValue)::uuid
            """
        )
    }

    private static func openEntries(
        _ event: EventID,
        _ transaction: PostgresTransaction
    ) async throws -> [Roster.Entry] {
        try await transaction.query(
            """
            SELECT id, user_id, coalesce(ticket, gen_random_uuid())::text FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND state = 'lobby' ORDER BY id
            """
        ).map(entry)
    }

    private static func closedEntries(
        _ event: EventID,
        _ transaction: PostgresTransaction
    ) async throws -> [Roster.Entry] {
        try await transaction.query(
            """
            SELECT id, user_id, ticket::text FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND leaf IS NOT NULL ORDER BY leaf
            """
        ).map(entry)
    }

    private static func entry(_ row: PostgresRow) throws -> Roster.Entry {
        let (id, user, ticket) = try row.decode((Int64, String, String).self)
        return Roster.Entry(id: id, user: user, ticket: ticket)
    }
}

extension QueueStore.Roster {
    var leaves: [MerkleTree.Hash] { entries.map { LobbyDraw.leaf(ticket: $0.ticket, user: $0.user) } }

    /// The entries' ids in the order in which they go in.
    func order(in event: EventID) -> [Int64] {
        let tree = MerkleTree(leaves: leaves)
        return LobbyDraw.order(of: tree.leaves, root: tree.root, secret: secret, event: event).map { entries[$0].id }
    }
}
