import Foundation
import HoldfastCore
import Logging
import Postgres
import Redis
import TestSupport
import Testing

@testable import Sessions

/// Hundreds at one moment, on two instances, and the indexes exact afterwards.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct SignInCrowdRedisTests {
    /// The handles of a user in Redis' index, in everybody's list and in the list of a role, and the live families.
    struct Books: Equatable {
        var index: Set<String>
        var everyone: Set<String>
        var role: Set<String>
        var families: Set<String>

        init(_ harness: SessionsHarness, _ user: UserID) async throws {
            func members(_ key: String) async throws -> [String] {
                try await harness.redis.send(RedisCommand("ZRANGE", RedisArgument(key), "0", "-1")).array?
                    .compactMap(\.string) ?? []
            }
            func own(_ key: String) async throws -> Set<String> {
                Set(
                    try await members(key).filter { $0.hasSuffix(" \(user)") }
                        .map { String($0.prefix { $0 != " " }) }
                )
            }
            index = Set(try await members(SessionsKeys.index(of: user)))
            everyone = try await own(SessionsKeys.everyone)
            role = try await own(SessionsKeys.everyone(.admin))
            families = Set(
                try await harness.postgres.query(
                    """
                    SELECT session_handle FROM refresh_families
                    WHERE user_id = \(user.rawValue) AND revoked_at IS NULL
                    """
                ).map { try $0.decode(String.self) }
            )
        }
    }

    private func many(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count { group.addTask { try await body(number) } }
            try await group.waitForAll()
        }
    }

    @Test("Of 300 sign-ins at one moment as many live as one may have, in every book")
    func signIns() async throws {
        try await SessionsHarness.run(configure: { $0.maxSessionsPerUser = 7 }) { harness in
            let other = await harness.instance(harness.sessions.configuration)
            try await many(300) { number in
                let instance = number % 2 == 0 ? harness.sessions : other
                _ = try await instance.create(for: harness.user, client: harness.client)
            }
            let books = try await Books(harness, harness.user.userID)
            #expect(books.index.count == 7)
            #expect(books.everyone == books.index && books.role == books.index && books.families == books.index)
            _ = try await harness.sessions.endAll(of: harness.user.userID, reason: .logoutAll)
            let after = try await Books(harness, harness.user.userID)
            #expect(after.index.isEmpty && after.everyone.isEmpty && after.role.isEmpty && after.families.isEmpty)
        }
    }

    @Test("With replace, 200 sign-ins at one moment leave one, in every book", arguments: [1, 2])
    func replaces(round: Int) async throws {
        try await SessionsHarness.run(configure: { $0.duplicateLogin = .replace }) { harness in
            let other = await harness.instance(harness.sessions.configuration)
            try await many(200) { number in
                _ = try await (number % 2 == 0 ? harness.sessions : other).create(
                    for: harness.user,
                    client: harness.client
                )
            }
            let books = try await Books(harness, harness.user.userID)
            #expect(books.index.count == 1)
            #expect(books.everyone == books.index && books.role == books.index && books.families == books.index)
            _ = try await harness.sessions.endAll(of: harness.user.userID, reason: .logoutAll)
        }
    }

    @Test("400 refreshes of one token on two instances give one successor, and none is turned away")
    func refreshesOfOne() async throws {
        try await SessionsHarness.run { harness in
            let other = await harness.instance(harness.sessions.configuration)
            let signIn = try await harness.signIn()
            let successors = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<400 {
                    group.addTask {
                        let instance = number % 2 == 0 ? harness.sessions : other
                        let outcome = try await instance.refresh(signIn.refreshToken, client: harness.client)
                        guard case .refreshed(let again, _) = outcome else { throw SessionsHarness.Unexpected() }
                        #expect(try await harness.sessions.authenticate(again.accessToken).word == "valid")
                        return again.refreshToken
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(successors.count == 1)
        }
    }

    @Test("Sign-ins, refreshes and sign-outs of one person in any order leave the books in agreement")
    func mixed() async throws {
        try await SessionsHarness.run(configure: { $0.maxSessionsPerUser = 4 }) { harness in
            let other = await harness.instance(harness.sessions.configuration)
            try await many(300) { number in
                let (one, two) = number % 2 == 0 ? (harness.sessions, other) : (other, harness.sessions)
                guard case .created(let signIn) = try await one.create(for: harness.user, client: harness.client)
                else { throw SessionsHarness.Unexpected() }
                async let refreshed = two.refresh(signIn.refreshToken, client: harness.client)
                if number % 3 == 0 {
                    _ = try await two.end(signIn.sessionHandle, of: harness.user.userID, reason: .logout)
                } else {
                    _ = try await one.authenticate(signIn.accessToken)
                }
                _ = try await refreshed
            }
            let books = try await Books(harness, harness.user.userID)
            #expect(books.index.count <= 4)
            #expect(books.everyone == books.index && books.role == books.index && books.families == books.index)
            _ = try await harness.sessions.endAll(of: harness.user.userID, reason: .logoutAll)
        }
    }

    @Test("300 people sign in, refresh and sign out at one moment, and nobody is left in any book")
    func crowd() async throws {
        try await SessionsHarness.run { harness in
            let prefix = "load-\(harness.user.userID)-"
            _ = try await harness.postgres.query(
                """
                INSERT INTO users (user_id, user_name, email, role, password_hash)
                SELECT \(prefix)::text || n, 'L', 'l@b.example', 'admin', '!' FROM generate_series(1, 300) AS n
                """
            )
            let other = await harness.instance(harness.sessions.configuration)
            try await many(300) { number in
                let id = try #require(UserID("\(prefix)\(number + 1)"))
                let user = SessionUser(userID: id, name: "L", email: "l@b.example", role: .admin, active: true)
                guard case .created(var signIn) = try await harness.sessions.create(for: user, client: harness.client)
                else { throw SessionsHarness.Unexpected() }
                for _ in 0..<2 {
                    guard
                        case .refreshed(let next, _) = try await other.refresh(
                            signIn.refreshToken,
                            client: harness.client
                        )
                    else { throw SessionsHarness.Unexpected() }
                    signIn = next
                }
                #expect(try await other.authenticate(signIn.accessToken).word == "valid")
                #expect(try await harness.sessions.end(signIn.sessionHandle, of: id, reason: .logout))
                #expect(try await other.authenticate(signIn.accessToken).word == "session expired")
                let books = try await Books(harness, id)
                #expect(books.index.isEmpty && books.everyone.isEmpty && books.role.isEmpty && books.families.isEmpty)
            }
        }
    }

    @Test("Sign-ins against signing out everywhere leave nothing that could not be refreshed")
    func signInsAgainstEnds() async throws {
        try await SessionsHarness.run { harness in
            let other = await harness.instance(harness.sessions.configuration)
            try await many(100) { number in
                if number % 5 == 0 {
                    _ = try await other.endAll(of: harness.user.userID, reason: .logoutAll)
                } else {
                    _ = try await harness.sessions.create(for: harness.user, client: harness.client)
                }
            }
            let books = try await Books(harness, harness.user.userID)
            #expect(books.everyone == books.index && books.role == books.index && books.families == books.index)
            _ = try await harness.sessions.endAll(of: harness.user.userID, reason: .logoutAll)
        }
    }
}
