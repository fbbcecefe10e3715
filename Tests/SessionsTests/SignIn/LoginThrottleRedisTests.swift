import Foundation
import HoldfastCore
import Redis
import TestSupport
import Testing

@testable import Sessions

@Suite(.enabled(if: TestRedis.isConfigured)) struct LoginThrottleRedisTests {
    private func user() throws -> UserID { try #require(UserID("u-\(UUID().uuidString)")) }

    private func isRefused(_ decision: ThrottleDecision, within seconds: ClosedRange<Int>) -> Bool {
        if case .refused(let wait) = decision { seconds.contains(wait) } else { false }
    }

    @Test("The tenth wrong password for an account is refused")
    func account() async throws {
        try await TestRedis.withClient { redis in
            let (throttle, user) = (LoginThrottle(redis: redis), try user())
            for number in 1...9 {
                let address = "\(user)-\(number)"  // From everywhere.
                #expect(try await throttle.admit(user: user, address: address) == .allowed)
                #expect(try await throttle.recordWrong(user: user, address: address) == .allowed)
            }
            let tenth = try await throttle.admit(user: user, address: "\(user)-10")
            #expect(isRefused(tenth, within: 890...900))
        }
    }

    @Test("Attempts at one moment cannot get more than nine 401s")
    func concurrentWrong() async throws {
        try await TestRedis.withClient { redis in
            let (throttle, user) = (LoginThrottle(redis: redis), try user())
            let allowed = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<30 {
                    group.addTask { try await throttle.recordWrong(user: user, address: "\(user)") == .allowed }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(allowed == 9)
        }
    }

    @Test("A stranger's wrong passwords do not lock the owner out of a known place")
    func ownerStaysIn() async throws {
        try await TestRedis.withClient { redis in
            let (throttle, user) = (LoginThrottle(redis: redis), try user())
            let (home, away) = ("home-\(user)", "away-\(user)")
            try await throttle.recordRight(user: user, address: home)
            for _ in 0..<12 { _ = try await throttle.recordWrong(user: user, address: away) }
            #expect(isRefused(try await throttle.admit(user: user, address: away), within: 890...900))
            #expect(try await throttle.admit(user: user, address: home) == .allowed)
            for _ in 0..<9 { _ = try await throttle.recordWrong(user: user, address: home) }
            #expect(isRefused(try await throttle.admit(user: user, address: home), within: 890...900))
        }
    }

    @Test("A Redis whose clock went back locks nobody out for longer than a window")
    func clockBack() async throws {
        try await TestRedis.withClient { redis in
            let (throttle, user) = (LoginThrottle(redis: redis), try user())
            try await throttle.recordRight(user: user, address: "home")
            for _ in 0..<9 { _ = try await throttle.recordWrong(user: user, address: "home") }
            #expect(isRefused(try await throttle.admit(user: user, address: "home"), within: 890...900))
            // The window as it looks an hour earlier.
            let key = RedisArgument(SessionsKeys.knownAddresses(of: user))
            let entries = try await redis.send(RedisCommand("HGETALL", key)).array ?? []
            let address = try #require(entries.first?.string)
            let words = try #require(entries.last?.string).split(separator: " ")
            let end = try #require(words.last.flatMap { Int64($0) }) + 3_600_000
            _ = try await redis.send(RedisCommand("HSET", key, RedisArgument(address), RedisArgument("9 \(end)")))
            #expect(try await throttle.admit(user: user, address: "home") == .allowed)
        }
    }

    @Test("An address gets 59 wrong passwords a minute, and 300 right ones pass")
    func address() async throws {
        try await TestRedis.withClient { redis in
            let throttle = LoginThrottle(redis: redis)
            let (guesser, office) = ("guesser-\(try user())", "office-\(try user())")
            let begin = ContinuousClock.now
            for _ in 0..<59 {
                #expect(try await throttle.admit(user: nil, address: guesser) == .allowed)
                _ = try await throttle.recordWrong(user: try user(), address: guesser)
            }
            let sixtieth = try await throttle.admit(user: nil, address: guesser)
            let gone = Int((ContinuousClock.now - begin).components.seconds) + 1
            #expect(isRefused(sixtieth, within: max(0, 60 - gone)...60))
            for _ in 0..<300 {
                #expect(try await throttle.admit(user: nil, address: office) == .allowed)
                try await throttle.recordRight(user: try user(), address: office)
            }
        }
    }
}
