import Foundation
import HoldfastCore
import Postgres

/// Refresh tokens and the sign-ins they belong to, in PostgreSQL.
///
/// A family is one sign-in: its row names the session and says whether it was revoked. Revoking takes the row's lock, as
/// does a refresh, so that the two come one after the other and nothing is issued for a family that has ended.
struct RefreshFamilies: Sendable {
    /// What a refresh needs to know of its family.
    struct Family: Sendable {
        let id: UUID
        let user: UserID
        let handle: SessionHandle
        let session: SessionID
        /// The session that this one takes the place of, if the family was to begin a new one.
        var replaced: SessionHandle?
        let createdAt: ServerTime
    }

    enum Rotation: Sendable {
        case rotated(Family, RefreshToken)
        /// Never issued, past its end, or unreadable.
        case unknown
        /// Used before, longer ago than a second tab or a lost answer explains; the family has been revoked now.
        case reused(Family)
        case revoked(SessionEndReason?)
    }

    /// How long after its use a token still names its successor.
    static let repeatSeconds: Int64 = 10

    let postgres: PostgresClient
    let sealer: Sealer
    let tokenTTL: Duration
    private let gate: SignInGate

    init(postgres: PostgresClient, sealer: Sealer, tokenTTL: Duration, patience: Duration) {
        self.postgres = postgres
        self.sealer = sealer
        self.tokenTTL = tokenTTL
        gate = SignInGate(patience: patience)
    }

    /// - Returns: the family's name.
    func begin(
        user: UserID,
        handle: SessionHandle,
        session: SessionID,
        token: RefreshToken
    ) async throws -> UUID {
        let (family, milliseconds, hash) = (UUID(), tokenTTL.milliseconds, token.hash)
        let sealed = try seal(session)
        try await gate.turn {
            try await postgres.withTransaction { transaction in
                _ = try await transaction.pipeline([
                    """
                    INSERT INTO refresh_families (family_id, user_id, session_handle, sealed_session_id, expires_at)
                    VALUES (\(family), \(user.rawValue), \(handle.rawValue), \(sealed),
                            now() + \(milliseconds)::bigint * interval '1 millisecond')
                    """,
                    """
                    INSERT INTO refresh_tokens (token_hash, family_id, expires_at)
                    VALUES (\(hash), \(family), now() + \(milliseconds)::bigint * interval '1 millisecond')
                    """,
                ])
            }
        }
        return family
    }

    private func seal(_ session: SessionID) throws -> [UInt8] {
        try sealer.seal(session.bytes, context: Self.context(session.handle))
    }

    private static func context(_ handle: SessionHandle) -> String { "refresh_families:\(handle)" }

    /// Exchanges a token for its successor, or finds out why not.
    func rotate(_ token: RefreshToken) async throws -> Rotation {
        try await gate.turn {
            try await postgres.withTransaction { try await rotate(token, in: $0) }
        }
    }

    private func rotate(_ token: RefreshToken, in transaction: PostgresTransaction) async throws -> Rotation {
        // The family's row is locked first everywhere, so that refreshes and revocations cannot deadlock.
        let families = try await transaction.query(
            """
            SELECT f.family_id, f.user_id, f.session_handle, f.sealed_session_id,
                   (extract(epoch FROM f.created_at) * 1000)::bigint, f.revoked_at IS NOT NULL, f.revoked_reason,
                   f.rotates
            FROM refresh_families f
            WHERE f.family_id = (SELECT t.family_id FROM refresh_tokens t WHERE t.token_hash = \(token.hash))
            FOR UPDATE
            """
        )
        guard let row = families.first else { return .unknown }
        let (id, userText, handleText, sealedID, createdAtMs, isRevoked, reason, rotates) = try row.decode(
            (UUID, String, String, [UInt8], Int64, Bool, String?, Bool).self
        )
        guard let user = UserID(userText), let handle = SessionHandle(handleText) else { return .unknown }
        if isRevoked { return .revoked(reason.flatMap(SessionEndReason.init(rawValue:))) }
        // No secret of the ring opens it any more: nothing was refreshed since a rotation of keys long ago.
        guard let opened = sealer.open(sealedID, context: Self.context(handle)),
            let old = SessionID(bytes: opened), old.handle == handle
        else { return .unknown }
        let session = rotates ? SessionID() : old
        let family = Family(
            id: id,
            user: user,
            handle: session.handle,
            session: session,
            replaced: rotates ? handle : nil,
            createdAt: ServerTime(millisecondsSinceEpoch: createdAtMs)
        )
        let rotation = try await rotate(token, of: family, in: transaction)
        if case .rotated = rotation, rotates || !sealer.isCurrent(sealedID) {
            // Under the newest secret from now on, so that an older one can be dropped.
            _ = try await transaction.query(
                """
                UPDATE refresh_families
                SET session_handle = \(session.handle.rawValue), sealed_session_id = \(try seal(session)),
                    rotates = false
                WHERE family_id = \(id)
                """
            )
        }
        if case .rotated = rotation, rotates { try await bury(family, in: transaction) }
        return rotation
    }

    /// Writes down that the session which another takes the place of has ended, as a family of its own that is revoked:
    /// nothing else knows its name from here on, and a Redis that goes back in time may have it still.
    private func bury(_ family: Family, in transaction: PostgresTransaction) async throws {
        guard let old = family.replaced else { return }
        let (id, milliseconds, none) = (UUID(), tokenTTL.milliseconds, [UInt8]())
        _ = try await transaction.query(
            """
            INSERT INTO refresh_families (family_id, user_id, session_handle, sealed_session_id, expires_at, revoked_at,
                                          revoked_reason)
            VALUES (\(id), \(family.user.rawValue), \(old.rawValue), \(none),
                    now() + \(milliseconds)::bigint * interval '1 millisecond', now(),
                    \(SessionEndReason.sessionEnded.rawValue))
            """
        )
    }

    /// With the family's row locked.
    private func rotate(
        _ token: RefreshToken,
        of family: Family,
        in transaction: PostgresTransaction
    ) async throws -> Rotation {
        // clock_timestamp(), not now(): this transaction may have waited for the lock since it began.
        let tokens = try await transaction.query(
            """
            SELECT expires_at > clock_timestamp(), sealed_successor,
                   coalesce(used_at > clock_timestamp() - \(Self.repeatSeconds)::bigint * interval '1 second', false)
            FROM refresh_tokens WHERE token_hash = \(token.hash)
            """
        )
        guard let row = tokens.first else { return .unknown }
        let (isCurrent, sealedSuccessor, isRepeat) = try row.decode((Bool, [UInt8]?, Bool).self)
        if let sealedSuccessor {
            if isRepeat, let successor = token.openSuccessor(sealedSuccessor) { return .rotated(family, successor) }
            try await endReused(family, in: transaction)
            return .reused(family)
        }
        guard isCurrent else { return .unknown }
        let successor = RefreshToken()
        let (sealed, milliseconds) = (try token.seal(successor: successor), tokenTTL.milliseconds)
        _ = try await transaction.pipeline([
            """
            UPDATE refresh_tokens SET used_at = clock_timestamp(), sealed_successor = \(sealed)
            WHERE token_hash = \(token.hash)
            """,
            """
            INSERT INTO refresh_tokens (token_hash, family_id, expires_at)
            VALUES (\(successor.hash), \(family.id), now() + \(milliseconds)::bigint * interval '1 millisecond')
            """,
            """
            UPDATE refresh_families SET expires_at = now() + \(milliseconds)::bigint * interval '1 millisecond'
            WHERE family_id = \(family.id)
            """,
        ])
        return .rotated(family, successor)
    }

    private func endReused(_ family: Family, in transaction: PostgresTransaction) async throws {
        _ = try await transaction.pipeline([
            """
            UPDATE refresh_families SET revoked_at = now(), revoked_reason = \(SessionEndReason.tokenReuse.rawValue)
            WHERE family_id = \(family.id)
            """,
            AuditLog.insertion(
                "refresh-token-reused",
                actor: nil,
                subject: family.user,
                address: nil,
                facts: ["session": family.handle.rawValue]
            ),
        ])
    }

    /// Ends families for good. One that has ended keeps its first reason.
    /// - Returns: how many of them were live until now.
    func revoke(_ handles: [SessionHandle], of user: UserID, reason: SessionEndReason) async throws -> Int {
        guard !handles.isEmpty else { return 0 }
        return try await change(
            """
            UPDATE refresh_families
            SET revoked_at = now(), revoked_reason = \(reason.rawValue)
            WHERE user_id = \(user.rawValue) AND session_handle = ANY(\(handles.map(\.rawValue))::text[])
              AND revoked_at IS NULL
            """
        )
    }

    func revokeAll(of user: UserID, reason: SessionEndReason, except: SessionHandle?) async throws -> Int {
        try await change(
            """
            UPDATE refresh_families SET revoked_at = now(), revoked_reason = \(reason.rawValue)
            WHERE user_id = \(user.rawValue) AND revoked_at IS NULL
              AND session_handle IS DISTINCT FROM \(except?.rawValue as String?)::text
            """
        )
    }

    /// The next refresh of each family begins a new session.
    func rotateAll(of user: UserID) async throws {
        _ = try await change(
            "UPDATE refresh_families SET rotates = true WHERE user_id = \(user.rawValue) AND revoked_at IS NULL"
        )
    }

    /// Adds what was counted of sessions that have ended to what is known of their sign-ins.
    func keep(_ accesses: [(handle: SessionHandle, count: Int, seen: ServerTime)]) async throws {
        guard !accesses.isEmpty else { return }
        _ = try await change(
            """
            UPDATE refresh_families f
            SET access_count = access_count + a.count,
                last_seen_at = greatest(last_seen_at, to_timestamp(a.seen / 1000.0))
            FROM unnest(\(accesses.map(\.handle.rawValue))::text[], \(accesses.map { Int64($0.count) })::bigint[],
                        \(accesses.map(\.seen.millisecondsSinceEpoch))::bigint[]) AS a (handle, count, seen)
            WHERE f.session_handle = a.handle
            """
        )
    }

    private func change(_ query: PostgresQuery) async throws -> Int {
        try await gate.turn { try await postgres.query(query).affectedRows }
    }

    /// Whose token it is and which session belongs to it, without using it; nil when it could not be used.
    func owner(of token: RefreshToken) async throws -> (user: UserID, handle: SessionHandle)? {
        let rows = try await gate.turn {
            try await postgres.query(
                """
                SELECT f.user_id, f.session_handle FROM refresh_families f
                JOIN refresh_tokens t USING (family_id)
                WHERE t.token_hash = \(token.hash) AND f.revoked_at IS NULL AND t.expires_at > now()
                  AND (t.used_at IS NULL OR t.used_at > now() - \(Self.repeatSeconds)::bigint * interval '1 second')
                """
            )
        }
        guard let row = rows.first else { return nil }
        let (userText, handleText) = try row.decode((String, String).self)
        guard let user = UserID(userText), let handle = SessionHandle(handleText) else { return nil }
        return (user, handle)
    }

    /// The id of a session whose family lives, which lives on as if its token had been refreshed; nil if there is none.
    func prolong(_ handle: SessionHandle, of user: UserID) async throws -> SessionID? {
        let milliseconds = tokenTTL.milliseconds
        let rows = try await gate.turn {
            try await postgres.query(
                """
                UPDATE refresh_families SET expires_at = now() + \(milliseconds)::bigint * interval '1 millisecond'
                WHERE user_id = \(user.rawValue) AND session_handle = \(handle.rawValue)
                  AND revoked_at IS NULL AND NOT rotates
                RETURNING sealed_session_id
                """
            )
        }
        guard let sealed = try rows.first?.decode([UInt8].self) else { return nil }
        return sealer.open(sealed, context: Self.context(handle)).flatMap { SessionID(bytes: $0) }
    }

    func isLive(_ family: UUID) async throws -> Bool {
        try await gate.turn {
            try await !postgres.query(
                "SELECT 1::bigint FROM refresh_families WHERE family_id = \(family) AND revoked_at IS NULL"
            ).isEmpty
        }
    }

    /// Removes families whose last token has ended; at most 1,000, so that it stays a short statement.
    static let cleaningBatch = 1_000

    func removeExpired() async throws(PostgresError) -> Int {
        try await postgres.query(
            """
            DELETE FROM refresh_families WHERE family_id IN (
                SELECT family_id FROM refresh_families WHERE expires_at < now()
                ORDER BY expires_at LIMIT \(Int64(Self.cleaningBatch))::bigint FOR UPDATE SKIP LOCKED
            )
            """
        ).affectedRows
    }
}
