import HoldfastCore
import NIOCore
import Redis

/// Sessions in Redis: calls the scripts of this folder and reads their replies.
struct SessionStore: Sendable {
    static let create = script("CreateSession", PackageResources.CreateSession_lua)
    static let touch = script("TouchSession", PackageResources.TouchSession_lua)
    static let end = script("EndSessions", PackageResources.EndSessions_lua)
    static let list = script("ListSessions", PackageResources.ListSessions_lua)
    static let reseal = RedisScript(name: "ResealSession", source: PackageResources.ResealSession_lua)

    private static func script(_ name: String, _ source: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: PackageResources.SessionCommon_lua + source)
    }

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
        /// The access token that is about to be handed out for it.
        var token: IssuedToken?
        /// How long the sessions that it displaces could otherwise come back.
        var refreshTTL = Duration.seconds(1_209_600)
    }

    /// A session that was ended, with what Redis had counted of it; nil when it was not alive.
    struct Ended: Sendable, Equatable {
        let handle: SessionHandle
        let tally: Tally?

        struct Tally: Sendable, Equatable {
            let count: Int
            let seen: ServerTime
        }
    }

    enum Created: Sendable {
        case created(Session, displaced: [Ended])
        /// Only with `revives`.
        case alive(Session)
        case refused
    }

    struct Touched: Sendable {
        let session: Session
        let slid: Bool
        let counted: Bool
    }

    enum Touch: Sendable {
        case alive(Touched)
        /// No such session, or no secret of ours opens it any more.
        case gone
        /// The session lives, but this token of it was ended.
        case deadToken
    }

    let redis: RedisClient
    let sealer: Sealer
    /// Milliseconds; 0 means the Redis server's clock. Only tests give another.
    var now: @Sendable () -> Int64 = { 0 }

    // MARK: One session

    func create(_ new: NewSession) async throws -> Created {
        let reply = try await redis.eval([try call(new)])
        return try created(new, first(reply))
    }

    func call(_ new: NewSession) throws -> RedisScriptCall {
        let context = SessionsKeys.session(new.handle, of: new.user)
        return RedisScriptCall(
            Self.create,
            keys: [SessionsKeys.index(of: new.user)],
            arguments: [
                RedisArgument(new.handle.rawValue),
                RedisArgument(bytes: try sealer.seal(new.value.bytes, context: context)),
                RedisArgument(new.ttl.milliseconds),
                RedisArgument(new.maxSessions),
                RedisArgument(new.policy.rawValue),
                RedisArgument(new.replaced?.rawValue ?? ""),
                RedisArgument(new.user.rawValue),
                RedisArgument(SessionsKeys.endedChannel),
                RedisArgument(new.revives ? "1" : "0"),
                RedisArgument(new.createdAt?.millisecondsSinceEpoch ?? 0),
                RedisArgument(now()),
                RedisArgument(new.token?.id ?? ""),
                RedisArgument(SessionsKeys.prefix(of: new.user)),
                RedisArgument(new.token?.expiresAt.millisecondsSinceEpoch ?? 0),
                RedisArgument(new.refreshTTL.milliseconds),
            ]
        )
    }

    /// Displaced sessions whose refresh tokens are revoked need no mark any more.
    func unmark(displaced handles: [SessionHandle], of user: UserID) async throws(RedisError) {
        guard !handles.isEmpty else { return }
        let keys = handles.map { RedisArgument(SessionsKeys.displaced($0, of: user)) }
        _ = try await redis.send(RedisCommand("DEL", arguments: keys))
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
            return .created(session, displaced: try Self.ended(items.dropFirst(4), by: Self.create))
        default: throw Self.unexpected(Self.create)
        }
    }

    /// - Parameter token: the id of the access token that was shown, if one was.
    func touch(
        _ handle: SessionHandle,
        of user: UserID,
        token: String? = nil,
        ttl: Duration,
        threshold: Duration,
        accesses: Int
    ) async throws(RedisError) -> Touch {
        let reply = try await redis.eval([
            touchCall(handle, of: user, token: token, ttl: ttl, threshold: threshold, accesses: accesses)
        ])
        return try touched(handle, user, try first(reply))
    }

    /// Writes accesses of many sessions without prolonging any, in pipelines of 500.
    func count(_ accesses: [AccessTally.Waiting]) async throws(RedisError) -> [Touch] {
        var touches: [Touch] = []
        for start in stride(from: 0, to: accesses.count, by: 500) {
            let part = accesses[start..<min(start + 500, accesses.count)]
            let replies = try await redis.eval(
                part.map {
                    touchCall($0.handle, of: $0.user, token: nil, ttl: .zero, threshold: .zero, accesses: $0.count)
                }
            )
            for (waiting, reply) in zip(part, replies) {
                touches.append(try touched(waiting.handle, waiting.user, first([reply])))
            }
        }
        return touches
    }

    private func touchCall(
        _ handle: SessionHandle,
        of user: UserID,
        token: String?,
        ttl: Duration,
        threshold: Duration,
        accesses: Int
    ) -> RedisScriptCall {
        RedisScriptCall(
            Self.touch,
            keys: [SessionsKeys.session(handle, of: user), SessionsKeys.index(of: user)]
                + (token.map { [SessionsKeys.dead($0, of: user)] } ?? []),
            arguments: [
                RedisArgument(handle.rawValue), RedisArgument(ttl.milliseconds), RedisArgument(threshold.milliseconds),
                RedisArgument(AccessTally.interval.milliseconds), RedisArgument(accesses), RedisArgument(now()),
            ]
        )
    }

    private func touched(_ handle: SessionHandle, _ user: UserID, _ reply: RESPValue) throws(RedisError) -> Touch {
        if reply.isNull { return .gone }
        if reply.int == 0 { return .deadToken }
        guard let items = reply.array, items.count == 2, let sealed = items[0].buffer,
            let numbers = items[1].buffer.flatMap(Self.numbers), numbers.count == 7
        else { throw Self.unexpected(Self.touch) }
        guard let session = session(handle, user, sealed, numbers) else { return .gone }
        return .alive(Touched(session: session, slid: numbers[5] == 1, counted: numbers[6] == 1))
    }

    /// Puts the session's value under the newest secret.
    func reseal(_ session: Session) async throws {
        let key = SessionsKeys.session(session.handle, of: session.userID)
        let value = SessionValue(role: session.role, client: session.client)
        let resealed = try sealer.seal(value.bytes, context: key)
        let read = try await redis.send(RedisCommand("HGET", RedisArgument(key), "value"))
        // Opened again: what is there now must still say the same.
        guard let sealed = read.buffer.map({ Array($0.readableBytesView) }),
            sealer.open(sealed, context: key) == value.bytes
        else { return }
        _ = try await redis.eval(
            Self.reseal,
            keys: [key],
            arguments: [RedisArgument(bytes: sealed), RedisArgument(bytes: resealed)]
        )
    }

    /// - Parameter items: value, created, seen, expires, count, now.
    func session(
        _ handle: SessionHandle,
        _ user: UserID,
        _ items: ArraySlice<RESPValue>,
        by script: RedisScript
    ) throws(RedisError) -> Session? {
        let numbers = items.dropFirst().compactMap(\.int)
        guard items.count == 6, let sealed = items.first?.buffer, numbers.count == 5
        else { throw Self.unexpected(script) }
        return session(handle, user, sealed, numbers)
    }

    /// - Parameter numbers: created, seen, expires, count, now.
    private func session(
        _ handle: SessionHandle,
        _ user: UserID,
        _ sealed: ByteBuffer,
        _ numbers: [Int]
    ) -> Session? {
        let sealed = Array(sealed.readableBytesView)
        guard let opened = sealer.open(sealed, context: SessionsKeys.session(handle, of: user)),
            let value = SessionValue(bytes: opened)
        else { return nil }
        return Session(
            handle: handle,
            userID: user,
            role: value.role,
            createdAt: ServerTime(millisecondsSinceEpoch: Int64(numbers[0])),
            lastActivity: ServerTime(millisecondsSinceEpoch: Int64(numbers[1])),
            expiresAt: ServerTime(millisecondsSinceEpoch: Int64(numbers[2])),
            asOf: ServerTime(millisecondsSinceEpoch: Int64(numbers[4])),
            accessCount: numbers[3],
            client: value.client,
            isSealedByOldSecret: !sealer.isCurrent(sealed)
        )
    }

    /// Whole numbers of at most 18 digits, separated by single spaces; nil for anything else.
    private static func numbers(_ text: ByteBuffer) -> [Int]? {
        var numbers = [0]
        var digits = 0
        for byte in text.readableBytesView {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9") where digits < 18:
                numbers[numbers.count - 1] = numbers[numbers.count - 1] * 10 + Int(byte - UInt8(ascii: "0"))
                digits += 1
            case UInt8(ascii: " ") where digits > 0:
                numbers.append(0)
                digits = 0
            default: return nil
            }
        }
        return digits > 0 ? numbers : nil
    }

    // MARK: Several sessions

    /// Ends the named sessions, or all, with their access tokens, and publishes each.
    ///
    /// - Returns: how many tokens were still good, and every session that was ended.
    func end(
        _ handles: [SessionHandle]?,
        of user: UserID,
        reason: SessionEndReason,
        except: SessionHandle? = nil
    ) async throws(RedisError) -> (tokens: Int, sessions: [Ended]) {
        if let handles, handles.isEmpty { return (0, []) }
        let reply = try await redis.eval(
            Self.end,
            keys: [SessionsKeys.index(of: user)],
            arguments: [
                RedisArgument(SessionsKeys.prefix(of: user)), RedisArgument(user.rawValue),
                RedisArgument(SessionsKeys.endedChannel), RedisArgument(reason.rawValue),
                RedisArgument(except?.rawValue ?? ""), RedisArgument(now()),
            ] + (handles ?? []).map { RedisArgument($0.rawValue) }
        )
        guard let items = reply.array, let tokens = items.first?.int else { throw Self.unexpected(Self.end) }
        return (tokens, try Self.ended(items.dropFirst(), by: Self.end))
    }

    private static func ended(_ items: ArraySlice<RESPValue>, by script: RedisScript) throws(RedisError) -> [Ended] {
        var ended: [Ended] = []
        for item in items {
            guard let parts = item.array, parts.count == 3, let handle = parts[0].string.flatMap(SessionHandle.init)
            else { throw unexpected(script) }
            var tally: Ended.Tally?
            if let count = parts[1].int, let seen = parts[2].int {
                tally = Ended.Tally(count: count, seen: ServerTime(millisecondsSinceEpoch: Int64(seen)))
            }
            ended.append(Ended(handle: handle, tally: tally))
        }
        return ended
    }

    /// - Bounds: the 1,000 that end last.
    func list(of user: UserID) async throws(RedisError) -> [Session] { try await list(of: [user], most: 1_000) }

    /// The sessions of several users, one after the other: `most` of each, those that end last.
    func list(of users: [UserID], most: Int) async throws(RedisError) -> [Session] {
        var sessions: [Session] = []
        let replies = try await redis.eval(
            users.map {
                RedisScriptCall(
                    Self.list,
                    keys: [SessionsKeys.index(of: $0)],
                    arguments: [
                        RedisArgument(SessionsKeys.sessionPrefix(of: $0)), RedisArgument(most), RedisArgument(now()),
                    ]
                )
            }
        )
        for (user, reply) in zip(users, replies) {
            if let failure = reply.failure { throw failure }
            sessions += try listed(of: user, reply)
        }
        return sessions
    }

    private func listed(of user: UserID, _ reply: RESPValue) throws(RedisError) -> [Session] {
        guard let items = reply.array, let now = items.first else { throw Self.unexpected(Self.list) }
        var sessions: [Session] = []
        for item in items.dropFirst() {
            guard let parts = item.array, parts.count == 6, let handle = parts[0].string.flatMap(SessionHandle.init)
            else { throw Self.unexpected(Self.list) }
            if let session = try session(handle, user, parts[1...] + [now], by: Self.list) { sessions.append(session) }
        }
        return sessions
    }

    /// How long each session lives if nobody uses it; nil for those that have ended. One pipeline for each 1,000.
    func timeLeft(of sessions: [(UserID, SessionHandle)]) async throws(RedisError) -> [Duration?] {
        var left: [Duration?] = []
        left.reserveCapacity(sessions.count)
        let now = try await time()
        for start in stride(from: 0, to: sessions.count, by: 1_000) {
            let commands = sessions[start..<min(start + 1_000, sessions.count)].map { user, handle in
                RedisCommand("HGET", RedisArgument(SessionsKeys.session(handle, of: user)), "expires")
            }
            for reply in try await redis.send(commands) {
                if let failure = reply.failure { throw failure }
                left.append(reply.int.map { ServerTime(millisecondsSinceEpoch: Int64($0)) - now })
            }
        }
        return left
    }

    /// What Redis' clock shows; in a cluster, one of them.
    func time() async throws(RedisError) -> ServerTime {
        let reply = try await redis.send(RedisCommand("TIME"))
        guard let parts = reply.array, parts.count == 2, let seconds = parts[0].int, let microseconds = parts[1].int
        else { throw RedisError(.unexpectedReply, "TIME: the reply is not a time") }
        return ServerTime(millisecondsSinceEpoch: Int64(seconds) * 1_000 + Int64(microseconds) / 1_000)
    }

    // MARK: Replies

    func first(_ replies: [RESPValue]) throws(RedisError) -> RESPValue {
        guard let reply = replies.first else { throw Self.unexpected(Self.create) }
        if let failure = reply.failure { throw failure }
        return reply
    }

    static func unexpected(_ script: RedisScript) -> RedisError {
        RedisError(.unexpectedReply, "\(script.name): the reply has not the script's shape", mayHaveRun: true)
    }
}
