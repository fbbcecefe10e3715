import FoundationEssentials
package import HoldfastCore
package import Postgres

/// One line of the audit log.
package struct AuditEntry: Sendable, Equatable {
    package let id: Int64
    package let at: ServerTime
    package let action: String
    package let actor: String?
    package let subject: String?
    package let address: String?
    package let facts: [String: String]
}

/// What was done to whom, kept in PostgreSQL by a table that only grows.
///
/// - Important: facts are read by administrators for years. No passwords, tokens or session ids; a session's handle is
///   fine.
package struct AuditLog: Sendable {
    private let postgres: PostgresClient

    package init(postgres: PostgresClient) { self.postgres = postgres }

    /// - Parameters:
    ///   - action: what was done, 1 to 64 characters, as in `sign-in`.
    ///   - actor: who did it; nil for the service itself and for strangers.
    ///   - subject: to whom it was done.
    package func record(
        _ action: String,
        actor: UserID?,
        subject: UserID?,
        address: String?,
        facts: [String: String] = [:]
    ) async throws(PostgresError) {
        _ = try await postgres.query(
            Self.insertion(action, actor: actor, subject: subject, address: address, facts: facts)
        )
    }

    /// What was done to an event: it stands among the facts, by which its entries are found.
    ///
    /// - Parameter actor: nil for who types commands on the server and has no account.
    package func record(
        _ action: String,
        of event: EventID,
        actor: UserID? = nil,
        address: String? = nil,
        facts: [String: String] = [:]
    ) async throws(PostgresError) {
        let facts = facts.merging(["event": event.rawValue]) { _, event in event }
        try await record(action, actor: actor, subject: nil, address: address, facts: facts)
    }

    static func insertion(
        _ action: String,
        actor: UserID?,
        subject: UserID?,
        address: String?,
        facts: [String: String]
    ) -> PostgresQuery {
        """
        INSERT INTO audit_log (action, actor, subject, address, facts)
        VALUES (\(action), \(actor?.rawValue as String?), \(subject?.rawValue as String?), \(address as String?), \(json(facts))::jsonb)
        """
    }

    /// The newest entries first, those older than `before` if given.
    ///
    /// - Parameter user: only what they did, or what was done to them.
    /// - Bounds: `limit` is brought into 1 to 200.
    package func page(before: Int64?, limit: Int, about user: UserID? = nil) async throws(PostgresError)
        -> [AuditEntry]
    {
        let rows = try await postgres.query(
            """
            SELECT audit_id, (extract(epoch FROM at) * 1000)::bigint, action, actor, subject, address, facts::text
            FROM audit_log WHERE audit_id < \(before ?? .max)::bigint
              AND (\(user?.rawValue as String?)::text IS NULL OR subject = \(user?.rawValue as String?)::text
                   OR actor = \(user?.rawValue as String?)::text)
            ORDER BY audit_id DESC LIMIT \(Int64(min(max(limit, 1), 200)))::bigint
            """
        )
        var entries: [AuditEntry] = []
        for row in rows { entries.append(try Self.entry(row)) }
        return entries
    }

    /// The newest entries of some kinds about a person, oldest first.
    package func entries(
        about user: UserID,
        actions: [String],
        limit: Int
    ) async throws(PostgresError) -> [AuditEntry] {
        try await entries(where: "subject", is: user.rawValue, actions, limit)
    }

    /// The newest entries of some kinds about an event, which their facts name, oldest first.
    package func entries(
        of event: EventID,
        actions: [String],
        limit: Int
    ) async throws(PostgresError) -> [AuditEntry] {
        try await entries(where: "facts->>'event'", is: event.rawValue, actions, limit)
    }

    /// - Parameter column: of ours, as one of the table's indexes has it.
    private func entries(
        where column: StaticString,
        is value: String,
        _ actions: [String],
        _ limit: Int
    ) async throws(PostgresError) -> [AuditEntry] {
        let rows = try await postgres.query(
            """
            SELECT audit_id, (extract(epoch FROM at) * 1000)::bigint, action, actor, subject, address, facts::text
            FROM audit_log WHERE \(unescaped: "\(column)") = \(value) AND action = ANY(\(actions)::text[])
            ORDER BY audit_id DESC LIMIT \(limit)::bigint
            """
        )
        var entries: [AuditEntry] = []
        for row in rows.reversed() { entries.append(try Self.entry(row)) }
        return entries
    }

    private static func entry(_ row: PostgresRow) throws(PostgresError) -> AuditEntry {
        let (id, atMs, action, actor, subject, address, facts) = try row.decode(
            (Int64, Int64, String, String?, String?, String?, String).self
        )
        return AuditEntry(
            id: id,
            at: ServerTime(millisecondsSinceEpoch: atMs),
            action: action,
            actor: actor,
            subject: subject,
            address: address,
            facts: (try? JSONDecoder().decode([String: String].self, from: Data(facts.utf8))) ?? [:]
        )
    }

    /// Encoding strings to strings cannot fail; an empty object is the honest answer if it ever did. PostgreSQL's jsonb
    /// has no NUL.
    private static func json(_ facts: [String: String]) -> String {
        let clean = facts.mapValues { String($0.filter { $0 != "\0" }) }
        guard let data = try? JSONEncoder().encode(clean) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }
}
