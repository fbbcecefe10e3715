import Foundation
import HoldfastCore
import Logging
import Postgres
import Redis
import TestSupport
import Testing

@testable import Sessions

/// What is kept, counted and sealed of a session, and what happens to its tokens when it ends.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct SessionLifeRedisTests {
    private func pttl(_ harness: SessionsHarness, _ key: String) async throws -> Int {
        try await harness.redis.send(RedisCommand("PTTL", RedisArgument(key))).int ?? -3
    }

    @Test("Signing out puts every living access token on the list of the dead for exactly what it had left")
    func blacklist() async throws {
        try await SessionsHarness.run(configure: { $0.accessTokenTTL = .seconds(300) }) { harness in
            let first = try await harness.signIn()
            let second = try await harness.refresh(first.refreshToken)
            let user = harness.user.userID
            var tokens: [(id: String, expiresAt: ServerTime)] = []
            for text in [first.accessToken, second.accessToken] {
                let token = try #require(await harness.sessions.tokens.verify(text, now: .now))
                tokens.append((token.id, token.expiresAt))
                #expect(try await pttl(harness, SessionsKeys.dead(token.id, of: user)) == -2)
            }
            #expect(
                try await harness.sessions.endAll(of: user, reason: .logoutAll)
                    == SessionsEnded(sessions: 1, tokens: 2)
            )
            for token in tokens {
                let key = SessionsKeys.dead(token.id, of: user)
                let ends = try await harness.redis.send(RedisCommand("PEXPIRETIME", RedisArgument(key))).int
                #expect(ends == Int(token.expiresAt.millisecondsSinceEpoch))
            }
            #expect(try await pttl(harness, SessionsKeys.tokens(of: first.sessionHandle, of: user)) == -2)
        }
    }

    @Test("A token on the list of the dead opens nothing, though its session lives")
    func deadToken() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let token = try #require(await harness.sessions.tokens.verify(signIn.accessToken, now: .now))
            let key = SessionsKeys.dead(token.id, of: harness.user.userID)
            _ = try await harness.redis.send(RedisCommand("SET", RedisArgument(key), "1", "PX", "60000"))
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "invalid token")
            let next = try await harness.refresh(signIn.refreshToken)
            #expect(try await harness.sessions.authenticate(next.accessToken).word == "valid")
        }
    }

    @Test("Past 256 living tokens of one session the oldest dies")
    func manyTokens() async throws {
        try await SessionsHarness.run { harness in
            var signIn = try await harness.signIn()
            for _ in 0..<256 { signIn = try await harness.refresh(signIn.refreshToken) }
            let key = SessionsKeys.tokens(of: signIn.sessionHandle, of: harness.user.userID)
            #expect(try await harness.redis.send(RedisCommand("ZCARD", RedisArgument(key))).int == 256)
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "valid")
        }
    }

    @Test("After a change of secrets, one refresh makes the old secret superfluous")
    func resealed() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let both = "\(SessionsHarness.secretB),\(SessionsHarness.secretA)"
            let rotating = await harness.instance(SessionConfiguration(secrets: try SecretRing(both)))
            #expect(try await rotating.authenticate(signIn.accessToken).word == "valid")
            guard case .refreshed(let next, _) = try await rotating.refresh(signIn.refreshToken, client: harness.client)
            else { throw SessionsHarness.Unexpected() }
            #expect(next.sessionHandle == signIn.sessionHandle)
            let rotated = await harness.instance(
                SessionConfiguration(secrets: try SecretRing(SessionsHarness.secretB))
            )
            guard case .valid(let signedIn) = try await rotated.authenticate(next.accessToken)
            else { throw SessionsHarness.Unexpected() }
            #expect(signedIn.session.client == harness.client)
            try await harness.wipe(next.sessionHandle)
            guard case .refreshed(let last, _) = try await rotated.refresh(next.refreshToken, client: harness.client)
            else { throw SessionsHarness.Unexpected() }
            #expect(last.sessionHandle == signIn.sessionHandle)
        }
    }

    @Test("Every access on every instance is counted, also those that a sign-out elsewhere overtook")
    func nothingLost() async throws {
        try await SessionsHarness.run { harness in
            let other = await harness.instance(harness.sessions.configuration)
            let signIn = try await harness.signIn()
            for _ in 0..<10 {
                _ = try await harness.authenticate(signIn.accessToken)
                #expect(try await other.authenticate(signIn.accessToken).word == "valid")
            }
            #expect(try await harness.authenticate(signIn.accessToken).session.accessCount == 1)
            _ = try await harness.sessions.end(signIn.sessionHandle, of: harness.user.userID, reason: .logout)
            try await other.writeAccesses(waitingSince: .now)
            let rows = try await harness.postgres.query(
                "SELECT access_count, last_seen_at IS NOT NULL FROM refresh_families"
            )
            let (count, isSeen) = try rows[0].decode((Int64, Bool).self)
            #expect(count == 21)
            #expect(isSeen)
        }
    }

    @Test("Accesses that wait are written once their five seconds are over, and no sooner")
    func written() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            for _ in 0..<4 { _ = try await harness.authenticate(signIn.accessToken) }
            let user = harness.user.userID
            try await harness.sessions.writeAccesses(waitingSince: .now)
            #expect(try await harness.sessions.session(signIn.sessionHandle, of: user)?.accessCount == 1)
            let key = SessionsKeys.session(signIn.sessionHandle, of: user)
            let sixAgo = ServerTime.now.millisecondsSinceEpoch - 6_000
            _ = try await harness.redis.send(RedisCommand("HSET", RedisArgument(key), "seen", RedisArgument(sixAgo)))
            try await harness.sessions.writeAccesses(waitingSince: .now)
            #expect(try await harness.sessions.session(signIn.sessionHandle, of: user)?.accessCount == 4)
        }
    }

    @Test("When rights change, all tokens die and a refresh begins another session")
    func rotatesAll() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let user = harness.user.userID
            try await harness.sessions.rotateAll(of: user)
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            let next = try await harness.refresh(signIn.refreshToken)
            #expect(next.sessionHandle != signIn.sessionHandle)
            #expect(try await harness.sessions.authenticate(next.accessToken).word == "valid")
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            #expect(try await harness.sessions.list(of: user).map(\.handle) == [next.sessionHandle])
            #expect(try await harness.refresh(next.refreshToken).sessionHandle == next.sessionHandle)
        }
    }

    @Test("Everybody's sessions come in pages, each once, also where many end in one millisecond")
    func pages() async throws {
        try await SessionsHarness.run { harness in
            let users = try (0..<90).map { try #require(UserID("load-\(harness.user.userID)-\($0)")) }
            _ = try await harness.sessions.createMany(for: users)
            var seen: [UserID] = []
            var cursor: String?
            repeat {
                let page = try await harness.sessions.page(after: cursor, limit: 7)
                #expect(page.sessions.count <= 7)
                seen += page.sessions.map(\.userID).filter { users.contains($0) }
                cursor = page.next
            } while cursor != nil
            #expect(seen.count == 90)
            #expect(Set(seen) == Set(users))
            for user in users { _ = try await harness.sessions.endAll(of: user, reason: .admin) }
            await #expect(throws: Problem.self) { try await harness.sessions.page(after: "x", limit: 7) }
        }
    }

    @Test("A session that is being made while the lists are cleaned up stays on them")
    func cleanedWhileMade() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let user = harness.user.userID
            // Listed, and not made yet.
            let key = SessionsKeys.session(signIn.sessionHandle, of: user)
            let aside = RedisArgument(SessionsKeys.session(SessionID().handle, of: user))
            _ = try await harness.redis.send(RedisCommand("RENAME", RedisArgument(key), aside))
            _ = try await harness.sessions.strikeEnded {
                _ = try await harness.redis.send(RedisCommand("RENAME", aside, RedisArgument(key)))
                // The lists are everybody's: other tests are making sessions, too.
                try await Task.sleep(for: Sessions.strikePatience)
            }
            let listed = try await harness.redis.send(
                RedisCommand(
                    "ZSCORE",
                    RedisArgument(SessionsKeys.everyone),
                    RedisArgument("\(signIn.sessionHandle) \(user)")
                )
            )
            #expect(!listed.isNull)
        }
    }

    @Test("Statistics agree with the sessions that were made")
    func statistics() async throws {
        try await SessionsHarness.run { harness in
            let before = try await harness.sessions.statistics().byRole[.superAdmin] ?? 0
            var sessions: [SessionHandle] = []
            for _ in 0..<5 { sessions.append(SessionID().handle) }
            let user = harness.user.userID
            try await harness.sessions.store.enlist(
                sessions.map { ($0, user) },
                role: .superAdmin,
                for: .seconds(100)
            )
            let (all, byRole) = try await harness.sessions.statistics()
            #expect(byRole[.superAdmin] == before + 5)
            #expect(all.count >= 5 && all.averageTTL > .zero)
            // None of them was ever made: that is what a clean-up is for.
            #expect(try await harness.sessions.strikeEnded() >= 5)
            #expect(try await harness.sessions.statistics().byRole[.superAdmin] == before)
        }
    }
}
