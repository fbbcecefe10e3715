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
        // Without Redis no session could be given; find out before the token is used up.
        _ = try await store.redis.send(RedisCommand("PING"))
        switch try await families.rotate(presented) {
        case .unknown: return .invalidToken
        case .revoked(let reason): return reason == .tokenReuse ? .reused : .sessionEnded
        case .reused(let family):
            _ = try await store.end([family.handle], of: family.user, reason: .tokenReuse)
            await forgetQuietly([family.handle], of: family.user)
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
        // No secret of the ring opens it any more: its access tokens are long dead, and so is this.
        guard let opened = sealer.open(family.sealedSessionID, context: Self.familyContext(family.handle)),
            let id = SessionID(bytes: opened), id.handle == family.handle
        else { return .invalidToken }
        let created = try await store.create(
            SessionStore.NewSession(
                user: user.userID,
                handle: family.handle,
                value: SessionValue(role: user.role, client: client),
                ttl: configuration.sessionTTL,
                maxSessions: configuration.maxSessionsPerUser,
                policy: configuration.duplicateLogin,
                revives: true,
                createdAt: family.createdAt
            )
        )
        switch created {
        case .refused:
            // Signed in elsewhere meanwhile, where only one sign-in is allowed.
            _ = try await families.revoke([family.handle], of: user.userID, reason: .duplicateLogin)
            return .sessionEnded
        case .alive(let session): await noteQuietly([session])
        case .created(let session, let displaced):
            _ = try await families.revoke(displaced, of: user.userID, reason: .duplicateLogin)
            await forgetQuietly(displaced, of: user.userID)
            await noteQuietly([session])
        }
        // An end that came between the rotation and here has revoked the family, but found no session to end. Whoever
        // ends a session revokes first and deletes second, so one of the two sees the other.
        guard try await families.isLive(family.id) else {
            _ = try await store.end([family.handle], of: user.userID, reason: .sessionEnded)
            await forgetQuietly([family.handle], of: user.userID)
            return .sessionEnded
        }
        return .refreshed(try await signIn(id, of: user.userID, refreshToken: successor), user)
    }
}
