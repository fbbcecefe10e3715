import HoldfastCore
import Logging
import Redis

extension Sessions {
    /// Exchanges a refresh token for a new pair of the same session.
    ///
    /// - The same token within 10 seconds gives the same successor: a second tab, or an answer that got lost. Later it
    ///   ends the session on every instance and is written to the audit log.
    /// - If Redis has lost the session, it is made again under the same id, unless it was ended.
    ///
    /// - Throws: `RedisError` or `PostgresError` when a store is away.
    package func refresh(_ refreshToken: String, client: ClientInfo) async throws -> RefreshOutcome {
        guard let presented = RefreshToken(refreshToken) else { return .invalidToken }
        return try await flights.outcome(of: presented.hash) {
            try await self.exchange(presented, client: client)
        }
    }

    /// A new access token of a live session, for who proved otherwise that it is theirs: by the provider's refresh token.
    ///
    /// - Returns: nil if the session has ended.
    package func renew(_ handle: SessionHandle, of user: SessionUser, client: ClientInfo) async throws
        -> SessionRenewal?
    {
        guard let id = try await families.prolong(handle, of: user.userID),
            try await session(handle, of: user.userID) != nil
        else { return nil }
        let token = try await issueToken(for: id, of: user.userID)
        let new = SessionStore.NewSession(
            user: user.userID,
            handle: handle,
            value: SessionValue(role: user.role, client: client),
            ttl: configuration.sessionTTL,
            maxSessions: configuration.maxSessionsPerUser,
            policy: configuration.duplicateLogin,
            revives: true,
            token: token,
            refreshTTL: configuration.refreshTokenTTL
        )
        guard case .alive(let session) = try await store.create(new) else {
            // It ended between the two looks, and must not come back by this.
            let ended = try await store.end([handle], of: user.userID, reason: .sessionEnded)
            await settle(ended.sessions, of: user.userID)
            return nil
        }
        await moved(session)
        return SessionRenewal(
            accessToken: token.text,
            expiresIn: Int(configuration.accessTokenTTL.milliseconds / 1_000),
            csrfToken: csrfToken(of: id)
        )
    }

    private func exchange(_ presented: RefreshToken, client: ClientInfo) async throws -> RefreshOutcome {
        // Without Redis no session could be given; find out before the token is used up.
        _ = try await store.redis.send(RedisCommand("PING"))
        switch try await families.rotate(presented) {
        case .unknown: return .invalidToken
        case .revoked(let reason): return reason == .tokenReuse ? .reused : .sessionEnded
        case .reused(let family):
            let ended = try await store.end([family.handle], of: family.user, reason: .tokenReuse)
            await settle(ended.sessions, of: family.user)
            return .reused
        case .rotated(let family, let successor):
            return try await revive(family, successor: successor, client: client)
        }
    }

    private func revive(
        _ family: RefreshFamilies.Family,
        successor: RefreshToken,
        client: ClientInfo
    ) async throws -> RefreshOutcome {
        guard let user = try await user(family.user), user.active else { return .disabled }
        let token = try await issueToken(for: family.session, of: user.userID)
        let new = SessionStore.NewSession(
            user: user.userID,
            handle: family.handle,
            value: SessionValue(role: user.role, client: client),
            ttl: configuration.sessionTTL,
            maxSessions: configuration.maxSessionsPerUser,
            policy: configuration.duplicateLogin,
            replaced: family.replaced,
            revives: true,
            createdAt: family.createdAt,
            token: token,
            refreshTTL: configuration.refreshTokenTTL
        )
        await enlist(new)
        switch try await store.create(new) {
        case .refused:
            // Signed in elsewhere meanwhile, where only one sign-in is allowed; or displaced by another sign-in whose
            // instance died before it could revoke this one.
            _ = try await families.revoke([family.handle], of: user.userID, reason: .duplicateLogin)
            await settle([SessionStore.Ended(handle: family.handle, tally: nil)], of: user.userID)
            return .sessionEnded
        case .alive(let session): await moved(session)
        case .created(let session, let displaced):
            await quietly("session not moved") { try await self.store.move(session) }
            try await displace(displaced, by: new)
        }
        // An end that came between the rotation and here has revoked the family, but found no session to end. Whoever
        // ends a session revokes first and deletes second, so one of the two sees the other.
        guard try await families.isLive(family.id) else {
            let ended = try await store.end([family.handle], of: user.userID, reason: .sessionEnded)
            await settle(ended.sessions, of: user.userID)
            return .sessionEnded
        }
        return .refreshed(signIn(family.session, token, refreshToken: successor), user)
    }
}
