package import HoldfastCore
package import Logging
package import Postgres
package import Redis

/// Who is signed in, on every instance at once.
///
/// A session lives in Redis, and a token is good only while its session does; so ending a session there kills its
/// tokens everywhere. PostgreSQL holds the refresh families, which can bring a session back after Redis was lost, and
/// which are revoked *before* a session is ended, so that nothing that was ended comes back.
///
/// Either store being away is an error that goes through to the caller. Nobody is ever let in for want of an answer.
package final class Sessions: Sendable {
    let configuration: SessionConfiguration
    let store: SessionStore
    let families: RefreshFamilies
    let tokens: AccessTokenCodec
    let sealer: Sealer
    let logger: Logger
    let user: @Sendable (UserID) async throws -> SessionUser?
    let tally = AccessTally()
    package let endings = SessionEndings()
    let flights = RefreshFlights()
    let history = RedisHistory()

    /// - Parameter user: looks an account up, from a cache at most 30 seconds old; nil when there is none.
    package init(
        redis: RedisClient,
        postgres: PostgresClient,
        configuration: SessionConfiguration,
        logger: Logger,
        user: @escaping @Sendable (UserID) async throws -> SessionUser?
    ) async {
        self.configuration = configuration
        self.logger = logger
        self.user = user
        sealer = Sealer(ring: configuration.secrets)
        store = SessionStore(redis: redis, sealer: sealer)
        families = RefreshFamilies(
            postgres: postgres,
            sealer: sealer,
            tokenTTL: configuration.refreshTokenTTL,
            patience: configuration.signInPatience
        )
        tokens = await AccessTokenCodec(
            ring: configuration.secrets,
            issuer: configuration.issuer,
            audience: configuration.audience
        )
    }

    // MARK: Requests

    /// Looks at an access token as every request and every socket handshake must: signature and claims, not ended before
    /// its time, session, user.
    ///
    /// One round trip to Redis, which also prolongs a session with less than ``SessionConfiguration/refreshThreshold``
    /// left.
    ///
    /// - Throws: `RedisError` or `PostgresError` when a store is away: 503, never "let in".
    package func authenticate(_ accessToken: String) async throws -> SessionCheck {
        guard let token = await tokens.verify(accessToken, now: .now) else { return .invalidToken }
        let session: Session
        switch try await touch(token.handle, of: token.user, token: token.id) {
        case .alive(let touched): session = touched.session
        case .gone: return .sessionExpired
        case .deadToken: return .invalidToken
        }
        guard let user = try await user(token.user), user.active else { return .disabled }
        let signedIn = SignedIn(
            user: user,
            session: session,
            tokenExpiresAt: token.expiresAt,
            sessionID: token.session
        )
        return .valid(signedIn)
    }

    /// - Parameter token: the id of a token of ours; nil when another vouched for it.
    func touch(_ handle: SessionHandle, of user: UserID, token: String?) async throws -> SessionStore.Touch {
        let before = try history.current()
        let touch = try await counted(handle, of: user, token: token)
        try history.requireStill(before)
        return touch
    }

    private func counted(_ handle: SessionHandle, of user: UserID, token: String?) async throws -> SessionStore.Touch {
        let accesses = tally.claim(handle)
        let touch: SessionStore.Touch
        do {
            touch = try await store.touch(
                handle,
                of: user,
                token: token,
                ttl: configuration.sessionTTL,
                threshold: configuration.refreshThreshold,
                accesses: accesses
            )
        } catch {
            // One of them was this request, which was not answered.
            tally.giveBack(accesses - 1, for: handle, of: user)
            throw error
        }
        switch touch {
        case .alive(let touched):
            if !touched.counted { tally.giveBack(accesses, for: handle, of: user) }
            if touched.slid { await moved(touched.session) }
        case .gone, .deadToken: tally.giveBack(accesses - 1, for: handle, of: user)
        }
        return touch
    }

    /// Brings the session's life back to full; nil if it has ended.
    package func extend(_ handle: SessionHandle, of user: UserID) async throws -> Session? {
        let ttl = configuration.sessionTTL
        // A threshold nothing can stay above: always extended.
        let touch = try await store.touch(handle, of: user, ttl: ttl, threshold: ttl + .seconds(1), accesses: 0)
        guard case .alive(let touched) = touch else { return nil }
        await moved(touched.session)
        return touched.session
    }

    /// Brings the lists up to date after a session was extended, and its seal.
    ///
    /// Not at every request: while instances are restarted one after another with a new secret, those that do not know
    /// it yet must be able to read the sessions of people who only look around.
    func moved(_ session: Session) async {
        await quietly("session not moved") { try await self.store.move(session) }
        guard session.isSealedByOldSecret else { return }
        await quietly("session not sealed anew") { try await self.store.reseal(session) }
    }

    // MARK: Looking

    package func session(_ handle: SessionHandle, of user: UserID) async throws -> Session? {
        let touch = try await store.touch(handle, of: user, ttl: .zero, threshold: .zero, accesses: 0)
        guard case .alive(let touched) = touch else { return nil }
        return touched.session
    }

    /// A user's live sessions, the last used first; at most 1,000.
    package func list(of user: UserID) async throws -> [Session] {
        try await store.list(of: user).sorted {
            ($0.lastActivity, $0.handle.rawValue) > ($1.lastActivity, $1.handle.rawValue)
        }
    }

    /// Users with live sessions, each once.
    package func activeUsers(limit: Int = 1_000) async throws -> [UserID] { try await store.users(limit: limit) }

    /// Whether each session lives. Every instance asks for its sockets every 5 seconds, in case a message was lost.
    package func liveness(of sessions: [(UserID, SessionHandle)]) async throws -> [Bool] {
        try await timeLeft(of: sessions).map { $0 != nil }
    }

    /// How long each session lives if it is not used; nil for those that have ended.
    package func timeLeft(of sessions: [(UserID, SessionHandle)]) async throws -> [Duration?] {
        try await store.timeLeft(of: sessions)
    }

    // MARK: Ending

    /// Ends one session on every instance; false when the user has none of this handle.
    package func end(_ handle: SessionHandle, of user: UserID, reason: SessionEndReason) async throws -> Bool {
        let revoked = try await families.revoke([handle], of: user, reason: reason)
        let ended = try await store.end([handle], of: user, reason: reason)
        await settle(ended.sessions, of: user)
        return revoked > 0 || ended.sessions.contains { $0.tally != nil }
    }

    /// Ends all sessions of a user, but for `except`.
    package func endAll(
        of user: UserID,
        reason: SessionEndReason,
        except: SessionHandle? = nil
    ) async throws -> SessionsEnded {
        _ = try await families.revokeAll(of: user, reason: reason, except: except)
        let ended = try await store.end(nil, of: user, reason: reason, except: except)
        // Somebody may have signed in between the two: who has lost the session must not get it back by a refresh.
        _ = try await families.revoke(ended.sessions.map(\.handle), of: user, reason: reason)
        await settle(ended.sessions, of: user)
        return SessionsEnded(sessions: ended.sessions.count { $0.tally != nil }, tokens: ended.tokens)
    }

    /// Whose refresh token it is and which session it belongs to, without using it; nil for one that is no more good.
    package func owner(ofRefreshToken text: String) async throws -> (user: UserID, handle: SessionHandle)? {
        guard let presented = RefreshToken(text) else { return nil }
        return try await families.owner(of: presented)
    }

    /// What the user may do has changed: all tokens die at once, and each device's next refresh begins a new session.
    package func rotateAll(of user: UserID) async throws {
        try await families.rotateAll(of: user)
        let ended = try await store.end(nil, of: user, reason: .sessionEnded)
        await settle(ended.sessions, of: user)
    }

    /// Tells every instance that what it remembers of an account is out of date.
    package func announceChange(of user: UserID) async throws {
        _ = try await store.redis.send(
            RedisCommand(
                "PUBLISH",
                RedisArgument(SessionsKeys.accountChannel),
                RedisArgument(SessionsKeys.accountChanged + user.rawValue)
            )
        )
    }

    /// Removes refresh families past their end, at most 1,000; Redis removes sessions by itself.
    package func cleanUp() async throws -> Int { try await families.removeExpired() }

    // MARK: After the fact

    /// Strikes ended sessions off the lists, keeps what was counted of them, and tells who listens.
    ///
    /// - Parameter rotated: of these, the one that lives on under another name.
    func settle(_ ended: [SessionStore.Ended], of user: UserID, rotated: SessionHandle? = nil) async {
        guard !ended.isEmpty else { return }
        for session in ended where session.handle != rotated { endings.tell(session.handle, of: user) }
        await quietly("sessions not struck off") { try await self.store.strike(ended.map { ($0.handle, user) }) }
        await quietly("accesses not kept") {
            try await self.families.keep(
                ended.compactMap { session in
                    let waiting = self.tally.take(session.handle)
                    guard let counted = session.tally else {
                        return waiting > 0 ? (session.handle, waiting, ServerTime.now) : nil
                    }
                    return (session.handle, counted.count + waiting, waiting > 0 ? .now : counted.seen)
                }
            )
        }
    }

    /// Lists, counts and seals may lag; a request must not fail for them.
    func quietly(_ failure: Logger.Message, _ body: @Sendable () async throws -> Void) async {
        do {
            try await body()
        } catch {
            logger.debug(failure, metadata: ["error": "\(error)"])
        }
    }
}
