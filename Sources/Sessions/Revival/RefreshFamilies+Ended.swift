import HoldfastCore
import Postgres

extension RefreshFamilies {
    /// A session that has ended by the books.
    struct Ended: Sendable {
        let user: UserID
        let handle: SessionHandle
        /// Microseconds since 1970, by PostgreSQL's clock; pages go by it.
        fileprivate let revokedAt: Int64
    }

    static let endedPage = 500

    /// Sessions that were ended in the last `since`, the first at the head; at most ``endedPage``.
    func ended(since: Duration, after last: Ended?) async throws -> [Ended] {
        let (page, milliseconds) = (Int64(Self.endedPage), since.milliseconds)
        let (microseconds, handle) = (last?.revokedAt ?? 0, last?.handle.rawValue ?? "")
        let rows = try await postgres.query(
            """
            SELECT user_id, session_handle, (extract(epoch FROM revoked_at) * 1000000)::bigint FROM refresh_families
            WHERE revoked_at > now() - \(milliseconds)::bigint * interval '1 millisecond'
              AND (revoked_at, session_handle)
                > (timestamptz 'epoch' + \(microseconds)::bigint * interval '1 microsecond', \(handle))
            ORDER BY revoked_at, session_handle LIMIT \(page)::bigint
            """
        )
        return try rows.compactMap { try Self.ended(try $0.decode((String, String, Int64).self)) }
    }

    /// Sessions that were ended while their sign-in goes on, and whose place none has taken yet.
    func rotating(after last: Ended?) async throws -> [Ended] {
        let (page, handle) = (Int64(Self.endedPage), last?.handle.rawValue ?? "")
        let rows = try await postgres.query(
            """
            SELECT user_id, session_handle, 0::bigint FROM refresh_families
            WHERE rotates AND session_handle > \(handle) ORDER BY session_handle LIMIT \(page)::bigint
            """
        )
        return try rows.compactMap { try Self.ended(try $0.decode((String, String, Int64).self)) }
    }

    private static func ended(_ row: (String, String, Int64)) throws -> Ended? {
        guard let user = UserID(row.0), let handle = SessionHandle(row.1) else { return nil }
        return Ended(user: user, handle: handle, revokedAt: row.2)
    }
}
