import HoldfastCore
import NIOCore
import Redis

/// Which of our sessions a token of the provider belongs to.
struct TrackedToken: Sendable, Codable, Equatable {
    enum Kind: String, Codable, Sendable { case access, refresh }

    let kind: Kind
    let user: UserID
    /// The session's handle.
    let session: String
    let subject: String
    let expiresAtMs: Int64
}

/// What the provider gave for one of our sessions: needed to ask it again, and to sign out there.
struct ProviderGrant: Sendable, Codable {
    var tokens: TokenAnswer
    var accessExpiresAtMs: Int64
    let issuer: String
    let subject: String
    /// The provider's own session, if it names one.
    let providerSession: String?
    var authorities: Authorities
}

/// The provider's tokens, in Redis: by hash, sealed, each for as long as it lives.
struct TokenStore: Sendable {
    let redis: RedisClient
    let vault: OAuthVault
    let rememberedFor: Duration

    static func hash(_ token: String) -> String { digest("token", token) }

    // MARK: Tokens

    /// Remembers what belongs to a session, and then its tokens in one pipeline.
    func keep(_ grant: ProviderGrant, user: UserID, session: String) async throws {
        try await keepGrant(grant, user: user, session: session)
        var commands: [RedisCommand] = []
        let now = ServerTime.now.millisecondsSinceEpoch
        func track(_ token: String, _ kind: TrackedToken.Kind, _ lifeMs: Int64) throws {
            guard lifeMs > 0 else { return }
            let key = OAuthKeys.token(Self.hash(token))
            let tracked = TrackedToken(
                kind: kind,
                user: user,
                session: session,
                subject: grant.subject,
                expiresAtMs: now + lifeMs
            )
            commands.append(try vault.storing(tracked, at: key, forMs: lifeMs))
        }
        try track(grant.tokens.accessToken, .access, grant.accessExpiresAtMs - now)
        if let refreshToken = grant.tokens.refreshToken {
            try track(refreshToken, .refresh, rememberedFor.milliseconds)
        }
        if let providerSession = grant.providerSession {
            let key = OAuthKeys.providerSession(digest("sid", grant.issuer, providerSession))
            commands.append(RedisCommand("SADD", RedisArgument(key), RedisArgument("\(user) \(session)")))
            commands.append(
                RedisCommand("PEXPIRE", RedisArgument(key), RedisArgument(rememberedFor.milliseconds))
            )
        }
        for reply in try await redis.send(commands) {
            if let failure = reply.failure { throw failure }
        }
    }

    /// What the token belongs to; nil if we did not give it out, or it was taken back. One round trip.
    func tracked(_ token: String, _ kind: TrackedToken.Kind) async throws -> TrackedToken? {
        let hash = Self.hash(token)
        let key = OAuthKeys.token(hash)
        let replies = try await redis.send([
            RedisCommand("GET", RedisArgument(key)),
            RedisCommand("EXISTS", RedisArgument(OAuthKeys.dead(hash))),
        ])
        for reply in replies { if let failure = reply.failure { throw failure } }
        guard replies.count == 2, replies[1].int == 0, let sealed = replies[0].buffer,
            let tracked = vault.open(TrackedToken.self, sealed.readableBytesView, at: key), tracked.kind == kind,
            tracked.expiresAtMs > ServerTime.now.millisecondsSinceEpoch
        else { return nil }
        return tracked
    }

    /// Blacklists a token for exactly the rest of its life.
    func kill(_ token: String, expiresAtMs: Int64) async throws {
        let left = expiresAtMs - ServerTime.now.millisecondsSinceEpoch
        guard left > 0 else { return }
        _ = try await redis.send(
            RedisCommand(
                "SET",
                RedisArgument(OAuthKeys.dead(Self.hash(token))),
                "1",
                "PX",
                RedisArgument(left)
            )
        )
    }

    // MARK: Sessions

    func grant(of session: String, user: UserID) async throws -> ProviderGrant? {
        let key = OAuthKeys.grant(of: session, user: user)
        guard let sealed = try await redis.send(RedisCommand("GET", RedisArgument(key))).buffer else { return nil }
        return vault.open(ProviderGrant.self, sealed.readableBytesView, at: key)
    }

    func keepGrant(_ grant: ProviderGrant, user: UserID, session: String) async throws {
        let key = OAuthKeys.grant(of: session, user: user)
        _ = try await redis.send(try vault.storing(grant, at: key, forMs: rememberedFor.milliseconds))
    }

    func forgetGrant(of session: String, user: UserID) async throws {
        _ = try await redis.send(RedisCommand("DEL", RedisArgument(OAuthKeys.grant(of: session, user: user))))
    }

    /// Our sessions behind which one session at the provider stands.
    func sessions(behind providerSession: String, issuer: String) async throws -> [(UserID, String)] {
        let key = OAuthKeys.providerSession(digest("sid", issuer, providerSession))
        let members = try await redis.send(RedisCommand("SMEMBERS", RedisArgument(key))).array ?? []
        return members.compactMap { member in
            let parts = member.string?.split(separator: " ") ?? []
            guard parts.count == 2, let user = UserID(String(parts[0])) else { return nil }
            return (user, String(parts[1]))
        }
    }

    /// True for the first who asks about this logout token.
    func isFirst(_ tokenID: String, issuer: String) async throws -> Bool {
        let key = OAuthKeys.logoutToken(digest("logout", issuer, tokenID))
        let reply = try await redis.send(
            RedisCommand(
                "SET",
                RedisArgument(key),
                "1",
                "NX",
                "EX",
                RedisArgument(2 * ProviderTokenVerifier.maxAgeSeconds)
            )
        )
        return !reply.isNull
    }

    func forgetLogout(_ tokenID: String, issuer: String) async throws {
        let key = OAuthKeys.logoutToken(digest("logout", issuer, tokenID))
        _ = try await redis.send(RedisCommand("DEL", RedisArgument(key)))
    }

    // MARK: Refreshing

    /// Whether the caller is the one to exchange this refresh token.
    func beginRefresh(_ token: String) async throws -> Bool {
        let reply = try await redis.send(
            RedisCommand(
                "SET",
                RedisArgument(OAuthKeys.refreshing(Self.hash(token))),
                "1",
                "NX",
                "PX",
                RedisArgument(OAuthFront.refreshLock.milliseconds)
            )
        )
        return !reply.isNull
    }

    func endRefresh(_ token: String) async throws {
        _ = try await redis.send(RedisCommand("DEL", RedisArgument(OAuthKeys.refreshing(Self.hash(token)))))
    }

    func keepSuccessor(_ answer: TokenAnswer, of token: String) async throws {
        let key = OAuthKeys.successor(Self.hash(token))
        _ = try await redis.send(try vault.storing(answer, at: key, forMs: OAuthFront.repeatLife.milliseconds))
    }

    func successor(of token: String) async throws -> TokenAnswer? {
        let key = OAuthKeys.successor(Self.hash(token))
        guard let sealed = try await redis.send(RedisCommand("GET", RedisArgument(key))).buffer else { return nil }
        return vault.open(TokenAnswer.self, sealed.readableBytesView, at: key)
    }
}
