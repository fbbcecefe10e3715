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
        let sealedSessionID: [UInt8]
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
    let tokenTTL: Duration

    func begin(
        user: UserID,
        handle: SessionHandle,
        sealedSessionID: [UInt8],
        token: RefreshToken
    ) async throws {
        let (family, milliseconds, hash) = (UUID(), tokenTTL.milliseconds, token.hash)
        try await postgres.withTransaction { transaction in
            _ = try await transaction.pipeline([
                """
                INSERT INTO refresh_families (family_id, user_id, session_handle, sealed_session_id, expires_at)
                VALUES (\(family), \(user.rawValue), \(handle.rawValue), \(sealedSessionID),
                        now() + \(milliseconds)::bigint * interval '1 millisecond')
                """,
                """
                INSERT INTO refresh_tokens (token_hash, family_id, expires_at)
                VALUES (\(hash), \(family), now() + \(milliseconds)::bigint * interval '1 millisecond')
                """,
            ])
        }
    }

    /// Exchanges a token for its successor, or finds out why not.
    func rotate(_ token: RefreshToken) async throws -> Rotation {
        let hash = token.hash
        return try await postgres.withTransaction { transaction in
            // The family's row is locked first everywhere, so that refreshes and revocations cannot deadlock.
            let families = try await transaction.query(
                """
                SELECT f.family_id, f.user_id, f.session_handle, f.sealed_session_id,
                       (extract(epoch FROM f.created_at) * 1000)::bigint, f.revoked_at IS NOT NULL, f.revoked_reason
                FROM refresh_families f
                WHERE f.family_id = (SELECT t.family_id FROM refresh_tokens t WHERE t.token_hash = \(hash))
                FOR UPDATE
                """
            )
            guard let row = families.first else { return .unknown }
            let (id, userText, handleText, sealedID, createdAtMs, isRevoked, reason) = try row.decode(
                (UUID, String, String, [UInt8], Int64, Bool, String?).self
            )
            guard let user = UserID(userText), let handle = SessionHandle(handleText) else { return .unknown }
            let family = Family(
                id: id,
                user: user,
                handle: handle,
                sealedSessionID: sealedID,
                createdAt: ServerTime(millisecondsSinceEpoch: createdAtMs)
            )
            if isRevoked { return .revoked(reason.flatMap(SessionEndReason.init(rawValue:))) }
            return try await rotate(token, of: family, in: transaction)
        }
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

    /// Ends families for good. One that has ended keeps its first reason. Answers how many there were.
    /// - Returns: how many of them were live until now.
    func revoke(_ handles: [SessionHandle], of user: UserID, reason: SessionEndReason) async throws(PostgresError)
        -> Int
    {
        guard !handles.isEmpty else { return 0 }
        return try await postgres.query(
            """
            UPDATE refresh_families
            SET revoked_at = now(), revoked_reason = \(reason.rawValue)
            WHERE user_id = \(user.rawValue) AND session_handle = ANY(\(handles.map(\.rawValue))::text[])
              AND revoked_at IS NULL
            """
        ).affectedRows
    }

    func revokeAll(of user: UserID, reason: SessionEndReason, except: SessionHandle?) async throws(PostgresError) -> Int
    {
        try await postgres.query(
            """
            UPDATE refresh_families SET revoked_at = now(), revoked_reason = \(reason.rawValue)
            WHERE user_id = \(user.rawValue) AND revoked_at IS NULL
              AND session_handle IS DISTINCT FROM \(except?.rawValue as String?)::text
            """
        ).affectedRows
    }

    func isLive(_ family: UUID) async throws(PostgresError) -> Bool {
        let rows = try await postgres.query(
            "SELECT 1::bigint FROM refresh_families WHERE family_id = \(family) AND revoked_at IS NULL"
        )
        return !rows.isEmpty
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
