import HoldfastCore
import Redis

/// How many sessions there are, and how long they have left on average.
package struct SessionStatistics: Sendable, Equatable {
    package let count: Int
    /// Exact up to 100 sessions, estimated from 100 of them beyond.
    package let averageTTL: Duration
}

/// Where the next page of everybody's sessions begins.
///
/// - Shape: base64url of `SCORE HANDLE USER`.
struct SessionCursor: Sendable {
    let score: String
    let member: String

    init(score: String, member: String) {
        self.score = score
        self.member = member
    }

    init?(_ text: String) {
        guard let bytes = decodeBase64URL(text), let line = String(validating: bytes, as: UTF8.self) else { return nil }
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, (1...15).contains(parts[0].utf8.count), Int64(parts[0]).map({ $0 >= 0 }) == true,
            SessionStore.entry(String(parts[1])) != nil
        else { return nil }
        self.init(score: String(parts[0]), member: String(parts[1]))
    }

    var text: String { base64URL(Array("\(score) \(member)".utf8)) }
}

/// The lists of all users' sessions.
///
/// They lie in one slot of their own, so they are brought up to date by a second command: listed *before* a session is
/// made and struck off *after* it has ended, and an extension only moves what is listed. So whatever comes between, a
/// session that ended is not on them. What a lost connection leaves behind goes when it would have ended, or at a
/// clean-up.
extension SessionStore {
    private static let note = RedisScript(name: "NoteSession", source: PackageResources.NoteSession_lua)
    private static let page = RedisScript(name: "PageSessions", source: PackageResources.PageSessions_lua)
    private static let statistics = RedisScript(
        name: "SessionStatistics",
        source: PackageResources.SessionStatistics_lua
    )

    /// Before a session is made.
    func enlist(_ sessions: [(SessionHandle, UserID)], role: Role, for life: Duration) async throws(RedisError) {
        try await note("add", role, sessions.map { ($0.0, $0.1, life.milliseconds) })
    }

    /// After a session was extended.
    func move(_ session: Session) async throws(RedisError) {
        let end = session.expiresAt.millisecondsSinceEpoch
        try await note("move", session.role, [(session.handle, session.userID, end)])
    }

    private func note(
        _ action: RedisArgument,
        _ role: Role,
        _ sessions: [(SessionHandle, UserID, milliseconds: Int64)]
    ) async throws(RedisError) {
        guard !sessions.isEmpty else { return }
        _ = try await redis.eval(
            Self.note,
            keys: [SessionsKeys.everyone, SessionsKeys.everyone(role)],
            arguments: [action]
                + sessions.flatMap { handle, user, milliseconds in
                    [RedisArgument(Self.member(handle, user)), RedisArgument(milliseconds)]
                }
        )
    }

    /// After sessions have ended.
    func strike(_ sessions: [(SessionHandle, UserID)]) async throws(RedisError) {
        guard !sessions.isEmpty else { return }
        let members = sessions.map { RedisArgument(Self.member($0.0, $0.1)) }
        let keys = [SessionsKeys.everyone] + Role.allCases.map { SessionsKeys.everyone($0) }
        let replies = try await redis.send(
            keys.map { RedisCommand("ZREM", arguments: [RedisArgument($0)] + members) }
        )
        for reply in replies { if let failure = reply.failure { throw failure } }
    }

    /// For all sessions, then for each role.
    func statistics() async throws(RedisError) -> (all: SessionStatistics, byRole: [Role: Int]) {
        let reply = try await redis.eval(
            Self.statistics,
            keys: [SessionsKeys.everyone] + Role.allCases.map { SessionsKeys.everyone($0) },
            arguments: []
        )
        let numbers = (reply.array ?? []).compactMap(\.int)
        guard numbers.count == 2 * (1 + Role.allCases.count) else { throw Self.unexpected(Self.statistics) }
        var byRole: [Role: Int] = [:]
        for (position, role) in Role.allCases.enumerated() { byRole[role] = numbers[2 * (position + 1)] }
        return (SessionStatistics(count: numbers[0], averageTTL: .milliseconds(numbers[1])), byRole)
    }

    /// The entries of one page, in the order in which they end; `next` is nil on the last one.
    func page(
        role: Role?,
        after cursor: SessionCursor?,
        limit: Int
    ) async throws(RedisError) -> (total: Int, entries: [(SessionHandle, UserID)], next: SessionCursor?) {
        let reply = try await redis.eval(
            Self.page,
            keys: [role.map { SessionsKeys.everyone($0) } ?? SessionsKeys.everyone],
            arguments: [
                RedisArgument(limit + 1), RedisArgument(cursor?.score ?? ""), RedisArgument(cursor?.member ?? ""),
            ]
        )
        guard let items = reply.array, let total = items.first?.int, items.count % 2 == 1
        else { throw Self.unexpected(Self.page) }
        var entries: [(SessionHandle, UserID)] = []
        var last: SessionCursor?
        for position in stride(from: 1, to: items.count, by: 2) {
            guard let score = items[position].string, let member = items[position + 1].string,
                let entry = Self.entry(member)
            else { throw Self.unexpected(Self.page) }
            if entries.count == limit { return (total, entries, last) }
            entries.append(entry)
            last = SessionCursor(score: score, member: member)
        }
        return (total, entries, nil)
    }

    /// What is known of each session; nil for those that have ended.
    func details(of entries: [(SessionHandle, UserID)]) async throws(RedisError) -> [Session?] {
        guard !entries.isEmpty else { return [] }
        let commands = entries.map { handle, user in
            RedisCommand(
                "HMGET",
                RedisArgument(SessionsKeys.session(handle, of: user)),
                "value",
                "created",
                "seen",
                "expires",
                "count"
            )
        }
        let replies = try await redis.send(commands)
        let now = RESPValue.integer(Int(try await time().millisecondsSinceEpoch))
        var sessions: [Session?] = []
        for ((handle, user), reply) in zip(entries, replies) {
            if let failure = reply.failure { throw failure }
            guard let items = reply.array, items.count == 5, !items[0].isNull else {
                sessions.append(nil)
                continue
            }
            sessions.append(try session(handle, user, ArraySlice(items + [now]), by: Self.page))
        }
        return sessions
    }

    /// Those whose sessions end last, each user once, from at most `limit` sessions.
    func users(limit: Int) async throws(RedisError) -> [UserID] {
        let reply = try await redis.send(
            RedisCommand(
                "ZREVRANGEBYSCORE",
                RedisArgument(SessionsKeys.everyone),
                "+inf",
                RedisArgument(try await time().millisecondsSinceEpoch),
                "LIMIT",
                "0",
                RedisArgument(limit)
            )
        )
        var users: [UserID] = []
        var seen: Set<UserID> = []
        for member in reply.array ?? [] {
            guard let user = member.string.flatMap(Self.entry)?.1, seen.insert(user).inserted else { continue }
            users.append(user)
        }
        return users
    }

    private static func member(_ handle: SessionHandle, _ user: UserID) -> String { "\(handle) \(user)" }

    static func entry(_ member: String) -> (SessionHandle, UserID)? {
        let parts = member.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let handle = SessionHandle(String(parts[0])), let user = UserID(String(parts[1]))
        else { return nil }
        return (handle, user)
    }
}
