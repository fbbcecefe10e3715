import HoldfastCore
import Postgres
import TestSupport
import Testing

@testable import Sessions

@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct RefreshPostgresTests {
    @Test("A refresh gives a new pair of the same session")
    func refresh() async throws {
        try await SessionsHarness.run { harness in
            let first = try await harness.signIn()
            let second = try await harness.refresh(first.refreshToken)
            #expect(second.sessionHandle == first.sessionHandle)
            #expect(second.refreshToken != first.refreshToken)
            #expect(try await harness.sessions.authenticate(second.accessToken).word == "valid")
            _ = try await harness.refresh(second.refreshToken)
        }
    }

    @Test("A hundred refreshes of one token at one moment give one successor")
    func concurrent() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let successors = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<100 { group.addTask { try await harness.refresh(signIn.refreshToken).refreshToken } }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(successors.count == 1)
            let rows = try await harness.postgres.query("SELECT count(*) FROM refresh_tokens")
            #expect(try rows[0].decode(Int64.self) == 2)
        }
    }

    @Test("A token used again after 10 seconds ends its session, and the audit log says so")
    func reuse() async throws {
        try await SessionsHarness.run { harness in
            let first = try await harness.signIn()
            let second = try await harness.refresh(first.refreshToken)
            _ = try await harness.postgres.query(
                "UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds' WHERE used_at IS NOT NULL"
            )
            #expect(try await harness.sessions.refresh(first.refreshToken, client: harness.client).word == "reused")
            #expect(try await harness.sessions.authenticate(second.accessToken).word == "session expired")
            #expect(try await harness.sessions.refresh(second.refreshToken, client: harness.client).word == "reused")
            let page = try await AuditLog(postgres: harness.postgres).page(before: nil, limit: 10)
            #expect(page.map(\.action) == ["refresh-token-reused"])
            #expect(page.first?.subject == harness.user.userID.rawValue)
        }
    }

    @Test("After a wiped Redis one refresh signs a user in again, under the same handle")
    func wiped() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            try await harness.wipe(signIn.sessionHandle)
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            let again = try await harness.refresh(signIn.refreshToken)
            #expect(again.sessionHandle == signIn.sessionHandle)
            #expect(try await harness.sessions.authenticate(again.accessToken).word == "valid")
        }
    }

    @Test("A wipe does not bring back what was ended")
    func wipedAfterEnd() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            _ = try await harness.sessions.end(signIn.sessionHandle, of: harness.user.userID, reason: .logout)
            try await harness.wipe(signIn.sessionHandle)
            #expect(
                try await harness.sessions.refresh(signIn.refreshToken, client: harness.client).word == "session ended"
            )
        }
    }

    @Test("With many refreshes against one logout nothing lives on afterwards")
    func refreshAgainstEnd() async throws {
        try await SessionsHarness.run { harness in
            for _ in 0..<10 {
                let signIn = try await harness.signIn()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            _ = try await harness.sessions.refresh(signIn.refreshToken, client: harness.client)
                        }
                    }
                    group.addTask {
                        _ = try await harness.sessions.end(
                            signIn.sessionHandle,
                            of: harness.user.userID,
                            reason: .logout
                        )
                    }
                    try await group.waitForAll()
                }
                #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            }
            #expect(try await harness.sessions.list(of: harness.user.userID).isEmpty)
        }
    }

    @Test("What was never a refresh token is refused", arguments: ["", "x", String(repeating: "A", count: 43)])
    func unknown(token: String) async throws {
        try await SessionsHarness.run { harness in
            let outcome = try await harness.sessions.refresh(token, client: harness.client)
            #expect(outcome.word == "invalid token")
        }
    }

    @Test("The database holds no token in clear")
    func hashed() async throws {
        try await SessionsHarness.run { harness in
            let first = try await harness.signIn()
            let second = try await harness.refresh(first.refreshToken)
            let rows = try await harness.postgres.query("SELECT token_hash, sealed_successor FROM refresh_tokens")
            for row in rows {
                let (hash, successor) = try row.decode(([UInt8], [UInt8]?).self)
                for token in [first.refreshToken, second.refreshToken] {
                    let bytes = try #require(decodeBase64URL(token))
                    #expect(hash != bytes)
                    #expect(successor.map { Array($0.dropFirst(12).prefix(32)) } != bytes)
                }
            }
        }
    }

    @Test(
        "The audit log cannot be changed, not even by its owner",
        arguments: [
            "UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log",
        ]
    )
    func appendOnly(statement: String) async throws {
        try await SessionsHarness.run { harness in
            let log = AuditLog(postgres: harness.postgres)
            try await log.record(
                "sign-in",
                actor: harness.user.userID,
                subject: nil,
                address: nil,
                facts: ["a": "\0ü\""]
            )
            await #expect(throws: PostgresError.self) {
                _ = try await harness.postgres.query(PostgresQuery(sql: statement))
            }
            #expect(try await log.page(before: nil, limit: 10).map(\.facts) == [["a": "ü\""]])
        }
    }
}
