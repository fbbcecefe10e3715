package import HoldfastCore
import Logging
import Redis

extension Sessions {
    /// Signs a user in: a session in Redis, a refresh family in PostgreSQL, and the tokens for both.
    ///
    /// Call it after the password was right. ``SessionConfiguration/duplicateLogin`` and the maximum are applied in the
    /// same step that creates the session, so two sign-ins at one moment cannot both slip through.
    package func create(for user: SessionUser, client: ClientInfo) async throws -> CreateOutcome {
        let id = SessionID()
        let new = SessionStore.NewSession(
            user: user.userID,
            handle: id.handle,
            value: SessionValue(role: user.role, client: client),
            ttl: configuration.sessionTTL,
            maxSessions: configuration.maxSessionsPerUser,
            policy: configuration.duplicateLogin
        )
        return try await begin(id, new)
    }

    /// A whole new set for the same device: new session id, new tokens, same data; the old set is dead at once.
    package func rotate(_ current: SignedIn) async throws -> SignIn {
        let id = SessionID()
        let new = SessionStore.NewSession(
            user: current.userID,
            handle: id.handle,
            value: SessionValue(role: current.role, client: current.session.client),
            ttl: configuration.sessionTTL,
            maxSessions: 0,
            // The number of sessions stays the same, so no rule about other sessions applies.
            policy: .allow,
            replaced: current.session.handle,
            createdAt: current.session.createdAt
        )
        // Revoked first: if anything fails after this, the person signs in again, and the old set is dead as promised.
        _ = try await families.revoke([current.session.handle], of: current.userID, reason: .sessionEnded)
        switch try await begin(id, new) {
        case .created(let signIn): return signIn
        case .alreadySignedIn: throw RedisError(.unexpectedReply, "CreateSession: refused a rotation", mayHaveRun: true)
        }
    }

    private func begin(_ id: SessionID, _ new: SessionStore.NewSession) async throws -> CreateOutcome {
        let refreshToken = RefreshToken()
        // The family first: a session without one could not be revoked for good.
        try await families.begin(
            user: new.user,
            handle: new.handle,
            sealedSessionID: try sealer.seal(id.bytes, context: Self.familyContext(new.handle)),
            token: refreshToken
        )
        let created: SessionStore.Created
        do {
            created = try await store.create(new)
        } catch {
            // Nobody was given its tokens, so what stays behind if this fails too can harm no one and expires.
            _ = try? await families.revoke([new.handle], of: new.user, reason: .sessionEnded)
            throw error
        }
        switch created {
        case .created(let session, let displaced):
            let others = displaced.filter { $0 != new.replaced }
            _ = try await families.revoke(others, of: new.user, reason: .duplicateLogin)
            await forgetQuietly(displaced, of: new.user)
            await noteQuietly([session])
            return .created(try await signIn(id, of: new.user, refreshToken: refreshToken))
        case .alive, .refused:
            _ = try await families.revoke([new.handle], of: new.user, reason: .sessionEnded)
            return .alreadySignedIn
        }
    }

    func signIn(_ id: SessionID, of user: UserID, refreshToken: RefreshToken) async throws -> SignIn {
        let accessToken = try await tokens.sign(
            user: user,
            session: id,
            lifetime: configuration.accessTokenTTL,
            now: .now
        )
        return SignIn(
            accessToken: accessToken,
            expiresIn: Int(configuration.accessTokenTTL.milliseconds / 1_000),
            refreshToken: refreshToken.text,
            sessionHandle: id.handle,
            csrfToken: csrfToken(of: id)
        )
    }

    static func familyContext(_ handle: SessionHandle) -> String { "refresh_families:\(handle)" }

    // MARK: Load tests

    /// Live sessions without passwords or refresh tokens, for load tests: access tokens in the order of `users`.
    ///
    /// They count against no maximum, and displace nothing. Refuse this in production.
    package func createMany(
        for users: [UserID],
        lifetime: Duration = .seconds(21_600)
    ) async throws -> [String] {
        let value = SessionValue(role: .user, client: ClientInfo(ipAddress: "127.0.0.1", userAgent: "load test"))
        var accessTokens: [String] = []
        accessTokens.reserveCapacity(users.count)
        // One pipeline for each 500: far below the client's bound on commands in flight.
        for start in stride(from: 0, to: users.count, by: 500) {
            let chunk = users[start..<min(start + 500, users.count)]
            let ids = chunk.map { ($0, SessionID()) }
            let calls = try ids.map { user, id in
                try store.call(
                    SessionStore.NewSession(
                        user: user,
                        handle: id.handle,
                        value: value,
                        ttl: lifetime,
                        maxSessions: 0,
                        policy: .allow
                    )
                )
            }
            for reply in try await store.redis.eval(calls) {
                if let failure = reply.failure { throw failure }
            }
            let now = ServerTime.now
            await noteQuietly(
                ids.map { user, id in
                    Session(
                        handle: id.handle,
                        userID: user,
                        role: .user,
                        createdAt: now,
                        lastActivity: now,
                        expiresAt: now + lifetime,
                        asOf: now,
                        accessCount: 0,
                        client: value.client
                    )
                }
            )
            for (user, id) in ids {
                accessTokens.append(try await tokens.sign(user: user, session: id, lifetime: lifetime, now: now))
            }
        }
        return accessTokens
    }
}
