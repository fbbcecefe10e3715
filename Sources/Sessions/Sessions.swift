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
    private let tally = AccessTally()

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
        families = RefreshFamilies(postgres: postgres, tokenTTL: configuration.refreshTokenTTL)
        tokens = await AccessTokenCodec(
            ring: configuration.secrets,
            issuer: configuration.issuer,
            audience: configuration.audience
        )
    }

    // MARK: Requests

    /// Looks at an access token as every request and every socket handshake must: signature and claims, session, user.
    ///
    /// One round trip to Redis, which also prolongs a session with less than ``SessionConfiguration/refreshThreshold``
    /// left.
    ///
    /// - Throws: `RedisError` or `PostgresError` when a store is away: 503, never "let in".
    package func authenticate(_ accessToken: String) async throws -> SessionCheck {
        guard let token = await tokens.verify(accessToken, now: .now) else { return .invalidToken }
        guard let session = try await touch(token) else { return .sessionExpired }
        guard let user = try await user(token.user), user.active else { return .disabled }
        let signedIn = SignedIn(
            user: user,
            session: session,
            tokenExpiresAt: token.expiresAt,
            sessionID: token.session
        )
        return .valid(signedIn)
    }

    private func touch(_ token: VerifiedToken) async throws -> Session? {
        let accesses = tally.claim(token.handle)
        let touched: SessionStore.Touched?
        do {
            touched = try await store.touch(
                token.handle,
                of: token.user,
                ttl: configuration.sessionTTL,
                threshold: configuration.refreshThreshold,
                accesses: accesses
            )
        } catch {
            tally.giveBack(accesses, for: token.handle)
            throw error
        }
        guard let touched else { return nil }
        if !touched.counted { tally.giveBack(accesses, for: token.handle) }
        if touched.slid { await noteQuietly([touched.session]) }
        return touched.session
    }

    /// Brings the session's life back to full; nil if it has ended.
    package func extend(_ handle: SessionHandle, of user: UserID) async throws -> Session? {
        let ttl = configuration.sessionTTL
        // A threshold nothing can stay above: always extended.
        let touched = try await store.touch(handle, of: user, ttl: ttl, threshold: ttl + .seconds(1), accesses: 0)
        if let touched { await noteQuietly([touched.session]) }
        return touched?.session
    }

    // MARK: Looking

    package func session(_ handle: SessionHandle, of user: UserID) async throws -> Session? {
        try await store.touch(handle, of: user, ttl: .zero, threshold: .zero, accesses: 0)?.session
    }

    /// A user's live sessions, the last used first; at most 1,000.
    package func list(of user: UserID) async throws -> [Session] {
        try await store.list(of: user).sorted {
            ($0.lastActivity, $0.handle.rawValue) > ($1.lastActivity, $1.handle.rawValue)
        }
    }

    package func countActive() async throws -> Int { try await store.countByRole().values.reduce(0, +) }

    package func countByRole() async throws -> [Role: Int] { try await store.countByRole() }

    /// Users with live sessions, each once.
    package func activeUsers(limit: Int = 1_000) async throws -> [UserID] { try await store.users(limit: limit) }

    /// Whether each session lives. Every instance asks for its sockets every 5 seconds, in case a message was lost.
    package func liveness(of sessions: [(UserID, SessionHandle)]) async throws -> [Bool] {
        try await expirations(of: sessions).map { $0 != nil }
    }

    /// When each session will end if it is not used; nil for those that have ended.
    package func expirations(of sessions: [(UserID, SessionHandle)]) async throws -> [ServerTime?] {
        try await store.expirations(of: sessions)
    }

    // MARK: Ending

    /// Ends one session on every instance; false when the user has none of this handle.
    package func end(_ handle: SessionHandle, of user: UserID, reason: SessionEndReason) async throws -> Bool {
        let revoked = try await families.revoke([handle], of: user, reason: reason)
        let ended = try await store.end([handle], of: user, reason: reason)
        await forgetQuietly([handle], of: user)
        return revoked > 0 || ended.alive > 0
    }

    /// Ends all sessions of a user, but for `except`; answers how many lived.
    package func endAll(
        of user: UserID,
        reason: SessionEndReason,
        except: SessionHandle? = nil
    ) async throws -> Int {
        _ = try await families.revokeAll(of: user, reason: reason, except: except)
        let ended = try await store.end(nil, of: user, reason: reason, except: except)
        await forgetQuietly(ended.handles, of: user)
        return ended.alive
    }

    /// Removes refresh families past their end, at most 1,000; Redis removes sessions by itself.
    package func cleanUp() async throws -> Int { try await families.removeExpired() }

    // MARK: Statistics

    /// Counts and lists of all sessions may lag; a request must not fail for them.
    func noteQuietly(_ sessions: [Session]) async {
        do { try await store.note(sessions) } catch {
            logger.debug("sessions not noted", metadata: ["error": "\(error)"])
        }
    }

    func forgetQuietly(_ handles: [SessionHandle], of user: UserID) async {
        do {
            try await store.forget(handles, of: user)
        } catch {
            logger.debug("sessions not forgotten", metadata: ["error": "\(error)"])
        }
    }
}
