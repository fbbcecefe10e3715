import HoldfastCore
import Logging
import Postgres
import TestSupport
import Testing

@testable import Accounts

@Suite(.enabled(if: TestPostgres.isConfigured)) struct ExternalAccountsPostgresTests {
    private let issuer = "https://login.example"

    @Test("Of many first sign-ins of one subject at one moment, all get one account")
    func race() async throws {
        try await TestPostgres.withDatabase { postgres in
            let external = ExternalAccounts(postgres: postgres)
            let issuer = issuer
            let outcomes = try await withThrowingTaskGroup(of: (UserID, Bool).self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        let outcome = try await external.signedIn(
                            issuer: issuer,
                            subject: "one",
                            name: "Ada",
                            verifiedEmail: "ada@b.example"
                        )
                        return (outcome.user, outcome.isNew)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(outcomes.map(\.0)).count == 1)
            #expect(outcomes.count { $0.1 } == 1)
            #expect(try await postgres.query("SELECT 1::bigint FROM users").count == 1)
        }
    }

    @Test("An account is found by issuer and subject alone: same name, same address, another account")
    func noLinking() async throws {
        try await TestPostgres.withDatabase { postgres in
            let accounts = Accounts(
                postgres: postgres,
                passwords: PasswordHasher(parameters: .cheapForTests),
                logger: Logger(label: "test")
            )
            _ = try await accounts.register(
                userID: "ada",
                password: "correct horse",
                name: "Ada",
                email: "ada@b.example"
            )
            let external = ExternalAccounts(postgres: postgres)
            func signIn(_ issuer: String, _ subject: String) async throws -> UserID {
                try await external.signedIn(
                    issuer: issuer,
                    subject: subject,
                    name: "ada",
                    verifiedEmail: "ada@b.example"
                ).user
            }
            let ids = [
                try await signIn(issuer, "ada"), try await signIn(issuer, "ADA"),
                try await signIn("https://other.example", "ada"), try #require(UserID("ada")),
            ]
            #expect(Set(ids).count == 4)
            #expect(try await signIn(issuer, "ada") == ids[0])
            #expect(try await accounts.authenticate(userID: ids[0].rawValue, password: "!") == .wrongCredentials)
        }
    }

    @Test("Who registers the name that a subject would get keeps it, and gains nothing")
    func squatting() async throws {
        try await TestPostgres.withDatabase { postgres in
            let name = try ExternalAccounts.userID(issuer: issuer, subject: "one", attempt: 0)
            _ = try await postgres.query(
                """
                INSERT INTO users (user_id, user_name, email, password_hash)
                VALUES (\(name.rawValue), 'Squatter', 's@b.example', 'x')
                """
            )
            let external = ExternalAccounts(postgres: postgres)
            let outcome = try await external.signedIn(issuer: issuer, subject: "one", name: "Ada", verifiedEmail: nil)
            #expect(outcome.user != name && outcome.isNew)
            #expect(try await external.find(issuer: issuer, subject: "one") == outcome.user)
        }
    }

    @Test("Name and verified address follow the provider; what it does not say stays")
    func follows() async throws {
        try await TestPostgres.withDatabase { postgres in
            let external = ExternalAccounts(postgres: postgres)
            func signIn(_ name: String?, _ email: String?) async throws -> (String, String) {
                let id = try await external.signedIn(issuer: issuer, subject: "one", name: name, verifiedEmail: email)
                    .user
                let rows = try await postgres.query("SELECT user_name, email FROM users WHERE user_id = \(id.rawValue)")
                return try rows[0].decode((String, String).self)
            }
            let first = try await signIn("Ada\u{0}\n", nil)
            #expect(first.0 == "Ada" && first.1.hasSuffix("@unverified.invalid"))
            #expect(try await signIn(nil, "ada@b.example") == ("Ada", "ada@b.example"))
            #expect(try await signIn("Ada Ł", "not an address") == ("Ada Ł", "ada@b.example"))
        }
    }

    @Test("Groups follow the provider, in one spelling, and give nobody a role")
    func groups() async throws {
        try await TestPostgres.withDatabase { postgres in
            let external = ExternalAccounts(postgres: postgres)
            let id = try await external.signedIn(issuer: issuer, subject: "one", name: nil, verifiedEmail: nil).user
            #expect(try await external.setGroups(["/Staff", "ROLE_admin", "staff", ""], of: id))
            #expect(try await !external.setGroups(["admin", "staff"], of: id), "the same again is no change")
            let rows = try await postgres.query(
                "SELECT groups, role, permissions FROM users WHERE user_id = \(id.rawValue)"
            )
            #expect(try rows[0].decode(([String], String, [String]).self) == (["admin", "staff"], "user", []))
            #expect(try await external.setGroups([], of: id))
        }
    }
}
