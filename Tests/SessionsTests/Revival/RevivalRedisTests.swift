import Foundation
import HoldfastCore
import Logging
import NIOCore
import Postgres
import Redis
import TestSupport
import Testing

@testable import Sessions

/// A Redis that went back in time, in small: a session's keys are put back as they were before it ended.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct RevivalRedisTests {
    private struct Old {
        let handle: SessionHandle
        let session: RESPValue
        let index: RESPValue
        /// The list of dead tokens, which does not have it yet.
        let dead: String
    }

    private func keep(_ signIn: SignIn, _ harness: SessionsHarness) async throws -> Old {
        let handle = signIn.sessionHandle
        let token = try #require(await harness.sessions.tokens.verify(signIn.accessToken, now: .now))
        func dump(_ key: String) async throws -> RESPValue {
            try await harness.redis.send(RedisCommand("DUMP", RedisArgument(key)))
        }
        return Old(
            handle: handle,
            session: try await dump(SessionsKeys.session(handle, of: harness.user.userID)),
            index: try await dump(SessionsKeys.index(of: harness.user.userID)),
            dead: SessionsKeys.dead(token.id, of: harness.user.userID)
        )
    }

    private func bringBack(_ old: Old, _ harness: SessionsHarness) async throws {
        let user = harness.user.userID
        _ = try await harness.redis.send(RedisCommand("DEL", RedisArgument(old.dead)))
        for (key, value) in [
            (SessionsKeys.session(old.handle, of: user), old.session), (SessionsKeys.index(of: user), old.index),
        ] {
            let bytes = Array(try #require(value.buffer).readableBytesView)
            _ = try await harness.redis.send(
                RedisCommand("RESTORE", RedisArgument(key), "0", RedisArgument(bytes: bytes), "REPLACE")
            )
        }
    }

    @Test("A session that was signed out and is there again is ended again, and the one beside it lives on")
    func revived() async throws {
        try await SessionsHarness.run { harness in
            let stays = try await harness.signIn()
            let leaves = try await harness.signIn()
            let old = try await keep(leaves, harness)
            _ = try await harness.sessions.end(leaves.sessionHandle, of: harness.user.userID, reason: .logout)
            #expect(try await harness.sessions.endAgain() == 0)
            try await bringBack(old, harness)
            // This is what would happen.
            #expect(try await harness.sessions.authenticate(leaves.accessToken).word == "valid")
            #expect(try await harness.sessions.endAgain() == 1)
            #expect(try await harness.sessions.authenticate(leaves.accessToken).word == "session expired")
            #expect(try await harness.sessions.authenticate(stays.accessToken).word == "valid")
        }
    }

    @Test("A session that ended because its owner's rights changed stays ended, before and after the next refresh")
    func rotated() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let old = try await keep(signIn, harness)
            try await harness.sessions.rotateAll(of: harness.user.userID)
            try await bringBack(old, harness)
            #expect(try await harness.sessions.endAgain() == 1)
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")

            let next = try await harness.refresh(signIn.refreshToken)
            #expect(next.sessionHandle != signIn.sessionHandle)
            try await bringBack(old, harness)
            #expect(try await harness.sessions.endAgain() == 1)
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            #expect(try await harness.sessions.authenticate(next.accessToken).word == "valid")
        }
    }

    @Test("Where thousands have signed out, none is overlooked")
    func pages() async throws {
        try await SessionsHarness.run { harness in
            let leaves = try await harness.signIn()
            let old = try await keep(leaves, harness)
            let user = harness.user.userID.rawValue
            // Some at one moment, which is where a page may end.
            for (count, age) in [(Int64(700), Int64(60)), (600, 30)] {
                _ = try await harness.postgres.query(
                    """
                    INSERT INTO refresh_families (family_id, user_id, session_handle, sealed_session_id, expires_at,
                                                  revoked_at, revoked_reason)
                    SELECT gen_random_uuid(), \(user), rpad(\(age)::text || 'a' || n::text, 43, 'A'), '',
                           now() + interval '1 day', now() - \(age)::bigint * interval '1 second', 'logout'
                    FROM generate_series(1, \(count)::bigint) AS n
                    """
                )
            }
            _ = try await harness.sessions.end(leaves.sessionHandle, of: harness.user.userID, reason: .logout)
            try await bringBack(old, harness)
            #expect(try await harness.sessions.endAgain() == 1)
            #expect(try await harness.sessions.authenticate(leaves.accessToken).word == "session expired")
        }
    }

    @Test("From another history until it was compared no session counts, and nobody is told that theirs ended")
    func uncertain() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let old = try await keep(signIn, harness)
            _ = try await harness.sessions.end(signIn.sessionHandle, of: harness.user.userID, reason: .logout)
            let other = try await harness.signIn()
            try await bringBack(old, harness)

            let guardian = RevivalGuard(sessions: harness.sessions, redis: harness.redis, logger: .init(label: "test"))
            for token in [signIn.accessToken, other.accessToken] {
                let error = await #expect(throws: RedisError.self) { try await harness.sessions.authenticate(token) }
                #expect(error?.isRetryable == true)
            }
            #expect(!harness.sessions.areCompared)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await guardian.run() }
                while !harness.sessions.areCompared { try await Task.sleep(for: .milliseconds(5)) }
                group.cancelAll()
            }
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            #expect(try await harness.sessions.authenticate(other.accessToken).word == "valid")
        }
    }

    @Test("An answer that was asked for in one history and came from another counts for nothing")
    func between() throws {
        let history = RedisHistory()
        let before = try history.current()
        try history.requireStill(before)
        history.changed()
        #expect(throws: RedisError.self) { try history.requireStill(before) }
        let number = try #require(history.uncompared)
        // Once more, before the first was compared.
        history.changed()
        history.compared(number)
        #expect(throws: RedisError.self) { try history.current() }
        history.compared(try #require(history.uncompared))
        #expect(throws: RedisError.self) { try history.requireStill(before) }
        try history.requireStill(try history.current())
    }
}
