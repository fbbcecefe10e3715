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
            policy: configuration.duplicateLogin,
            refreshTTL: configuration.refreshTokenTTL
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

    private func begin(_ id: SessionID, _ begun: SessionStore.NewSession) async throws -> CreateOutcome {
        let refreshToken = RefreshToken()
        let token = try await issueToken(for: id, of: begun.user)
        var new = begun
        new.token = token
        // The family first: a session without one could not be revoked for good.
        let family = try await families.begin(user: new.user, handle: new.handle, session: id, token: refreshToken)
        await enlist(new)
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
            await quietly("session not moved") { try await self.store.move(session) }
            try await displace(displaced, by: new)
            // All of the user's sessions may have been ended since the family began, when this one was not there yet.
            // It then goes the same way: signed in, and signed out at once.
            if try await !families.isLive(family) {
                let ended = try await store.end([new.handle], of: new.user, reason: .sessionEnded)
                await settle(ended.sessions, of: new.user)
            }
            return .created(signIn(id, token, refreshToken: refreshToken))
        case .alive, .refused:
            _ = try await families.revoke([new.handle], of: new.user, reason: .sessionEnded)
            await settle([SessionStore.Ended(handle: new.handle, tally: nil)], of: new.user)
            return .alreadySignedIn
        }
    }

    /// Ends for good what a new session took the place of.
    func displace(_ displaced: [SessionStore.Ended], by new: SessionStore.NewSession) async throws {
        guard !displaced.isEmpty else { return }
        await settle(displaced, of: new.user, rotated: new.replaced)
        let others = displaced.map(\.handle).filter { $0 != new.replaced }
        // The script marked them, so that they cannot come back even if this instance dies before the next line.
        let revoked = try await families.revoke(others, of: new.user, reason: .duplicateLogin)
        await quietly("marks not removed") { try await self.store.unmark(displaced: others, of: new.user) }
        guard revoked > 0 else { return }
        // A refresh of theirs between the two steps may have brought one back; now that it is revoked, none will again.
        let revived = try await store.end(others, of: new.user, reason: .duplicateLogin)
        await settle(revived.sessions, of: new.user)
    }

    func enlist(_ new: SessionStore.NewSession) async {
        await quietly("session not listed") {
            try await self.store.enlist([(new.handle, new.user)], role: new.value.role, for: new.ttl)
        }
    }

    func issueToken(for id: SessionID, of user: UserID) async throws -> IssuedToken {
        try await tokens.sign(user: user, session: id, lifetime: configuration.accessTokenTTL, now: .now)
    }

    func signIn(_ id: SessionID, _ token: IssuedToken, refreshToken: RefreshToken) -> SignIn {
        SignIn(
            accessToken: token.text,
            expiresIn: Int(configuration.accessTokenTTL.milliseconds / 1_000),
            refreshToken: refreshToken.text,
            sessionHandle: id.handle,
            csrfToken: csrfToken(of: id)
        )
    }

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
            let now = ServerTime.now
            var made: [(user: UserID, id: SessionID, token: IssuedToken)] = []
            for user in chunk {
                let id = SessionID()
                made.append((user, id, try await tokens.sign(user: user, session: id, lifetime: lifetime, now: now)))
            }
            try await store.enlist(made.map { ($0.id.handle, $0.user) }, role: value.role, for: lifetime)
            let calls = try made.map { user, id, token in
                try store.call(
                    SessionStore.NewSession(
                        user: user,
                        handle: id.handle,
                        value: value,
                        ttl: lifetime,
                        maxSessions: 0,
                        policy: .allow,
                        token: token
                    )
                )
            }
            for reply in try await store.redis.eval(calls) {
                if let failure = reply.failure { throw failure }
            }
            accessTokens += made.map(\.token.text)
        }
        return accessTokens
    }
}
