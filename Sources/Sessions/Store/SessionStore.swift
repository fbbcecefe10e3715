import HoldfastCore
import NIOCore
import Redis

/// Sessions in Redis: calls the scripts of this folder and reads their replies.
struct SessionStore: Sendable {
    static let create = RedisScript(name: "CreateSession", source: PackageResources.CreateSession_lua)
    static let touch = RedisScript(name: "TouchSession", source: PackageResources.TouchSession_lua)
    static let end = RedisScript(name: "EndSessions", source: PackageResources.EndSessions_lua)
    static let list = RedisScript(name: "ListSessions", source: PackageResources.ListSessions_lua)
    static let note = RedisScript(name: "NoteSession", source: PackageResources.NoteSession_lua)

    /// What is written when someone signs in.
    struct NewSession: Sendable {
        var user: UserID
        var handle: SessionHandle
        var value: SessionValue
        var ttl: Duration
        /// 0 for no limit.
        var maxSessions: Int
        var policy: DuplicateLogin
        var replaced: SessionHandle?
        var revives = false
        var createdAt: ServerTime?
    }

    enum Created: Sendable {
        case created(Session, displaced: [SessionHandle])
        /// Only with `revives`.
        case alive(Session)
        case refused
    }

    struct Touched: Sendable {
        let session: Session
        let slid: Bool
        let counted: Bool
    }

    let redis: RedisClient
    let sealer: Sealer

    // MARK: One session

    func create(_ new: NewSession) async throws -> Created {
        let reply = try await redis.eval([try call(new)])
        return try created(new, first(reply))
    }

    func call(_ new: NewSession) throws -> RedisScriptCall {
        let key = SessionsKeys.session(new.handle, of: new.user)
        return RedisScriptCall(
            Self.create,
            keys: [key, SessionsKeys.index(of: new.user)],
            arguments: [
                RedisArgument(new.handle.rawValue),
                RedisArgument(bytes: try sealer.seal(new.value.bytes, context: key)),
                RedisArgument(new.ttl.milliseconds),
                RedisArgument(new.maxSessions),
                RedisArgument(new.policy.rawValue),
                RedisArgument(new.replaced?.rawValue ?? ""),
                RedisArgument(new.user.rawValue),
                RedisArgument(SessionsKeys.endedChannel),
                RedisArgument(new.revives ? "1" : "0"),
                RedisArgument(new.createdAt?.millisecondsSinceEpoch ?? 0),
                "0",
            ]
        )
    }

    private func created(_ new: NewSession, _ reply: RESPValue) throws(RedisError) -> Created {
        guard let items = reply.array, let word = items.first?.string else { throw Self.unexpected(Self.create) }
        switch word {
        case "refused": return .refused
        case "alive":
            let session = try session(new.handle, new.user, items.dropFirst(), by: Self.create)
            guard let session else { throw Self.unexpected(Self.create) }
            return .alive(session)
        case "created":
            guard items.count >= 4, let created = items[1].int, let expires = items[2].int, let now = items[3].int
            else { throw Self.unexpected(Self.create) }
            let session = Session(
                handle: new.handle,
                userID: new.user,
                role: new.value.role,
                createdAt: ServerTime(millisecondsSinceEpoch: Int64(created)),
                lastActivity: ServerTime(millisecondsSinceEpoch: Int64(now)),
                expiresAt: ServerTime(millisecondsSinceEpoch: Int64(expires)),
                asOf: ServerTime(millisecondsSinceEpoch: Int64(now)),
                accessCount: 0,
                client: new.value.client
            )
            return .created(session, displaced: items.dropFirst(4).compactMap { $0.string.flatMap(SessionHandle.init) })
        default: throw Self.unexpected(Self.create)
        }
    }

    /// Nil if there is no such session, or if no secret of ours opens it any more.
    func touch(
        _ handle: SessionHandle,
        of user: UserID,
        ttl: Duration,
        threshold: Duration,
        accesses: Int
    ) async throws(RedisError) -> Touched? {
        let reply = try await redis.eval(
            Self.touch,
            keys: [SessionsKeys.session(handle, of: user), SessionsKeys.index(of: user)],
            arguments: [
                RedisArgument(handle.rawValue), RedisArgument(ttl.milliseconds), RedisArgument(threshold.milliseconds),
                "5000", RedisArgument(accesses), "0",
            ]
        )
        if reply.isNull { return nil }
        guard let items = reply.array, items.count == 8, let slid = items[6].int, let counted = items[7].int
        else { throw Self.unexpected(Self.touch) }
        guard let session = try session(handle, user, items.prefix(6), by: Self.touch) else { return nil }
        return Touched(session: session, slid: slid == 1, counted: counted == 1)
    }

    /// - Parameter items: value, created, seen, expires, count, now.
    private func session(
        _ handle: SessionHandle,
        _ user: UserID,
        _ items: ArraySlice<RESPValue>,
        by script: RedisScript
    ) throws(RedisError) -> Session? {
        let items = Array(items)
        guard items.count == 6, let sealed = items[0].buffer, let created = items[1].int, let seen = items[2].int,
            let expires = items[3].int, let count = items[4].int, let now = items[5].int
        else { throw Self.unexpected(script) }
        let context = SessionsKeys.session(handle, of: user)
        guard let opened = sealer.open(Array(sealed.readableBytesView), context: context),
            let value = SessionValue(bytes: opened)
        else { return nil }
        return Session(
            handle: handle,
            userID: user,
            role: value.role,
            createdAt: ServerTime(millisecondsSinceEpoch: Int64(created)),
            lastActivity: ServerTime(millisecondsSinceEpoch: Int64(seen)),
            expiresAt: ServerTime(millisecondsSinceEpoch: Int64(expires)),
            asOf: ServerTime(millisecondsSinceEpoch: Int64(now)),
            accessCount: count,
            client: value.client
        )
    }

    // MARK: Several sessions

    /// Ends the named sessions, or all, and publishes each; returns how many were alive, and all that were ended.
    func end(
        _ handles: [SessionHandle]?,
        of user: UserID,
        reason: SessionEndReason,
        except: SessionHandle? = nil
    ) async throws(RedisError) -> (alive: Int, handles: [SessionHandle]) {
        if let handles, handles.isEmpty { return (0, []) }
        let reply = try await redis.eval(
            Self.end,
            keys: [SessionsKeys.index(of: user)],
            arguments: [
                RedisArgument(SessionsKeys.sessionPrefix(of: user)), RedisArgument(user.rawValue),
                RedisArgument(SessionsKeys.endedChannel), RedisArgument(reason.rawValue),
                RedisArgument(except?.rawValue ?? ""),
            ] + (handles ?? []).map { RedisArgument($0.rawValue) }
        )
        guard let items = reply.array, let alive = items.first?.int else { throw Self.unexpected(Self.end) }
        return (alive, items.dropFirst().compactMap { $0.string.flatMap(SessionHandle.init) })
    }

    /// - Bounds: the 1,000 that end last.
    func list(of user: UserID) async throws(RedisError) -> [Session] {
        let reply = try await redis.eval(
            Self.list,
            keys: [SessionsKeys.index(of: user)],
            arguments: [RedisArgument(SessionsKeys.sessionPrefix(of: user)), "1000"]
        )
        guard let items = reply.array, let now = items.first else { throw Self.unexpected(Self.list) }
        var sessions: [Session] = []
        for item in items.dropFirst() {
            guard let parts = item.array, parts.count == 6, let handle = parts[0].string.flatMap(SessionHandle.init)
            else { throw Self.unexpected(Self.list) }
            if let session = try session(handle, user, parts[1...] + [now], by: Self.list) { sessions.append(session) }
        }
        return sessions
    }

    /// When each session ends by itself; nil for those that have ended. One pipeline for each 1,000.
    func expirations(of sessions: [(UserID, SessionHandle)]) async throws(RedisError) -> [ServerTime?] {
        var ends: [ServerTime?] = []
        ends.reserveCapacity(sessions.count)
        for start in stride(from: 0, to: sessions.count, by: 1_000) {
            let commands = sessions[start..<min(start + 1_000, sessions.count)].map { user, handle in
                RedisCommand("HGET", RedisArgument(SessionsKeys.session(handle, of: user)), "expires")
            }
            for reply in try await redis.send(commands) {
                if let failure = reply.failure { throw failure }
                ends.append(reply.int.map { ServerTime(millisecondsSinceEpoch: Int64($0)) })
            }
        }
        return ends
    }

    // MARK: Everybody's

    /// Brings the list of all sessions up to date. It serves statistics, so it is told after the fact.
    func note(_ sessions: [Session]) async throws(RedisError) {
        let now = ServerTime.now.millisecondsSinceEpoch
        let calls = Dictionary(grouping: sessions, by: \.role).map { role, sessions in
            RedisScriptCall(
                Self.note,
                keys: [SessionsKeys.everyone(role)],
                arguments: [RedisArgument(now)]
                    + sessions.flatMap {
                        [
                            RedisArgument(Self.member($0.handle, $0.userID)),
                            RedisArgument($0.expiresAt.millisecondsSinceEpoch),
                        ]
                    }
            )
        }
        if !calls.isEmpty { _ = try await redis.eval(calls) }
    }

    func forget(_ handles: [SessionHandle], of user: UserID) async throws(RedisError) {
        guard !handles.isEmpty else { return }
        let members = handles.map { RedisArgument(Self.member($0, user)) }
        _ = try await redis.send(
            Role.allCases.map {
                RedisCommand("ZREM", arguments: [RedisArgument(SessionsKeys.everyone($0))] + members)
            }
        )
    }

    func countByRole() async throws(RedisError) -> [Role: Int] {
        let now = RedisArgument(ServerTime.now.millisecondsSinceEpoch)
        let replies = try await redis.send(
            Role.allCases.map { RedisCommand("ZCOUNT", RedisArgument(SessionsKeys.everyone($0)), now, "+inf") }
        )
        var counts: [Role: Int] = [:]
        for (role, reply) in zip(Role.allCases, replies) {
            if let failure = reply.failure { throw failure }
            counts[role] = reply.int ?? 0
        }
        return counts
    }

    /// Those whose sessions end last, at most `limit` of each role.
    func users(limit: Int) async throws(RedisError) -> [UserID] {
        let now = RedisArgument(ServerTime.now.millisecondsSinceEpoch)
        let replies = try await redis.send(
            Role.allCases.map {
                RedisCommand(
                    "ZREVRANGEBYSCORE",
                    RedisArgument(SessionsKeys.everyone($0)),
                    "+inf",
                    now,
                    "LIMIT",
                    "0",
                    RedisArgument(limit)
                )
            }
        )
        var users: [UserID] = []
        var seen: Set<UserID> = []
        for reply in replies {
            if let failure = reply.failure { throw failure }
            for member in reply.array ?? [] {
                guard let text = member.string, let space = text.firstIndex(of: " "),
                    let user = UserID(String(text[text.index(after: space)...])), seen.insert(user).inserted
                else { continue }
                users.append(user)
            }
        }
        return users
    }

    private static func member(_ handle: SessionHandle, _ user: UserID) -> String { "\(handle) \(user)" }

    private func first(_ replies: [RESPValue]) throws(RedisError) -> RESPValue {
        guard let reply = replies.first else { throw Self.unexpected(Self.create) }
        if let failure = reply.failure { throw failure }
        return reply
    }

    static func unexpected(_ script: RedisScript) -> RedisError {
        RedisError(.unexpectedReply, "\(script.name): the reply has not the script's shape", mayHaveRun: true)
    }
}
