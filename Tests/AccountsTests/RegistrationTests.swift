import HoldfastCore
import Testing

@testable import Accounts

@Suite struct RegistrationTests {
    @Test("Every bad field is named")
    func allFields() {
        let problem = #expect(throws: Problem.self) {
            try Registration(userID: "a b", password: "short", name: "", email: "nobody")
        }
        #expect(problem?.errors.map(\.field) == ["user_id", "password", "user_name", "email"])
    }

    @Test("A password may be of any script", arguments: ["сезам, откройся", "芝麻开门芝麻开门", "🐴🔋📎🐴🔋📎🐴🔋"])
    func anyScript(password: String) throws {
        let registration = try Registration(userID: "a", password: password, name: "A", email: "a@b.example")
        #expect(registration.password == password)
    }

    @Test("A password has 8 to 128 characters", arguments: [(7, false), (8, true), (128, true), (129, false)])
    func length(count: Int, isAcceptable: Bool) {
        #expect(Registration.isPasswordAcceptable(String(repeating: "x", count: count)) == isAcceptable)
    }

    @Test("What cannot be an address is refused", arguments: ["@", "a@", "@b", "a b@c", "a@b@c", "a\n@b", "a@.b"])
    func email(text: String) {
        #expect(throws: Problem.self) { try Registration(userID: "a", password: "12345678", name: "A", email: text) }
    }
}

@Suite struct UserCacheTests {
    private let user = UserID("ada").map {
        User(userID: $0, name: "Ada", email: "ada@b.example", role: .user, active: true, createdAt: .now)
    }

    @Test("A user is remembered for the lifetime and no longer")
    func lifetime() throws {
        let user = try #require(user)
        let cache = UserCache(lifetime: .seconds(30))
        let now = ContinuousClock.now
        cache.keep(user, ticket: cache.ticket(), now: now)
        #expect(cache.user(user.userID, now: now + .seconds(29)) == user)
        #expect(cache.user(user.userID, now: now + .seconds(30)) == nil)
    }

    @Test("An answer from before an invalidation is not kept")
    func raceWithInvalidation() throws {
        let user = try #require(user)
        let cache = UserCache()
        let ticket = cache.ticket()
        cache.forget(user.userID)
        cache.keep(user, ticket: ticket, now: .now)
        #expect(cache.user(user.userID, now: .now) == nil)
    }
}
