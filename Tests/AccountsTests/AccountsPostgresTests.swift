import HoldfastCore
import Logging
import Postgres
import TestSupport
import Testing

@testable import Accounts

@Suite(.enabled(if: TestPostgres.isConfigured)) struct AccountsPostgresTests {
    private func withAccounts(_ body: (Accounts, PostgresClient) async throws -> Void) async throws {
        try await TestPostgres.withDatabase { postgres in
            let accounts = Accounts(
                postgres: postgres,
                passwords: PasswordHasher(parameters: .cheapForTests),
                logger: Logger(label: "test")
            )
            try await body(accounts, postgres)
        }
    }

    private func registered(_ outcome: RegistrationOutcome) throws -> User {
        guard case .registered(let user) = outcome else { throw TestFailure() }
        return user
    }

    private struct TestFailure: Error {}

    @Test("Who registered can sign in, with that password only")
    func registerAndSignIn() async throws {
        try await withAccounts { accounts, _ in
            let user = try registered(
                try await accounts.register(
                    userID: "ada",
                    password: "correct horse",
                    name: "Ada Ł",
                    email: "ada@b.example"
                )
            )
            #expect(try await accounts.user(user.userID) == user)
            #expect(try await accounts.authenticate(userID: "ada", password: "correct horse") == .authenticated(user))
            #expect(try await accounts.authenticate(userID: "ada", password: "wrong horse") == .wrongCredentials)
            #expect(try await accounts.authenticate(userID: "bob", password: "correct horse") == .wrongCredentials)
            #expect(try await accounts.authenticate(userID: "' OR 1", password: "x") == .wrongCredentials)
        }
    }

    @Test("Of many who want one name at one moment exactly one gets it")
    func nameRace() async throws {
        try await withAccounts { accounts, _ in
            let outcomes = try await withThrowingTaskGroup(of: RegistrationOutcome.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        try await accounts.register(
                            userID: "ada",
                            password: "correct horse",
                            name: "Ada \(number)",
                            email: "ada@b.example"
                        )
                    }
                }
                return try await group.reduce(into: [RegistrationOutcome]()) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == .exists }.count == 9)
        }
    }

    @Test("A disabled account is told so only after the right password")
    func disabled() async throws {
        try await withAccounts { accounts, _ in
            let user = try registered(
                try await accounts.register(
                    userID: "ada",
                    password: "correct horse",
                    name: "Ada",
                    email: "ada@b.example"
                )
            )
            let changed = try await accounts.setActive(user.userID, false)
            #expect(changed?.active == false)
            #expect(try await accounts.user(user.userID)?.active == false)
            #expect(try await accounts.authenticate(userID: "ada", password: "correct horse") == .disabled)
            #expect(try await accounts.authenticate(userID: "ada", password: "wrong horse") == .wrongCredentials)
        }
    }

    @Test("A sign-in replaces a hash of other parameters")
    func rehash() async throws {
        try await withAccounts { accounts, postgres in
            _ = try await accounts.register(
                userID: "ada",
                password: "correct horse",
                name: "Ada",
                email: "ada@b.example"
            )
            let parameters = try #require(ScryptParameters(checking: 11, r: 8, p: 1))
            let later = Accounts(
                postgres: postgres,
                passwords: PasswordHasher(parameters: parameters),
                logger: Logger(label: "test")
            )
            _ = try await later.authenticate(userID: "ada", password: "correct horse")
            let rows = try await postgres.query("SELECT password_hash FROM users")
            #expect(try rows[0].decode(String.self).hasPrefix("$scrypt$ln=11,"))
            guard case .authenticated = try await later.authenticate(userID: "ada", password: "correct horse")
            else { throw TestFailure() }
        }
    }

    @Test("100,000 load-test users are made at once, and again without harm; no password opens them")
    func loadTestUsers() async throws {
        try await withAccounts { accounts, postgres in
            let users = try await accounts.createMany(count: 100_000)
            #expect(try await accounts.createMany(count: 100_000) == users)
            #expect(users.last == UserID("load-100000"))
            let rows = try await postgres.query("SELECT count(*) FROM users")
            #expect(try rows[0].decode(Int64.self) == 100_000)
            #expect(try await accounts.authenticate(userID: "load-1", password: "!") == .wrongCredentials)
        }
    }
}
