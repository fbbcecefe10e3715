import Foundation
import HoldfastCore
import Redis
import Synchronization
import TestSupport
import Testing

@testable import Sessions

/// The real scripts beside ``SessionModel``, with time given by the test.
@Suite(.enabled(if: TestRedis.isConfigured)) struct SessionsMatchModelRedisTests {
    final class Clock: Sendable {
        // Years ahead, so that no key expires by the server's own clock while the test runs.
        private let value = Mutex<Int64>(2_500_000_000_000)
        var now: Int64 { value.withLock { $0 } }
        func advance(_ milliseconds: Int64) { value.withLock { $0 += milliseconds } }
    }

    final class Bench {
        let store: SessionStore
        let user: UserID
        let clock = Clock()
        var random: SeededGenerator
        var model = SessionModel()
        /// Everything that was ever made, with a token of each.
        var known: [(handle: SessionHandle, token: String)] = []

        init(_ redis: RedisClient, seed: UInt64) throws {
            let clock = clock
            store = SessionStore(
                redis: redis,
                sealer: Sealer(ring: try SecretRing(SessionsHarness.secretA)),
                now: { clock.now }
            )
            user = try #require(UserID("model-\(UUID().uuidString)"))
            random = SeededGenerator(seed: seed)
        }

        func new(_ handle: SessionHandle) -> SessionStore.NewSession {
            var new = SessionStore.NewSession(
                user: user,
                handle: handle,
                value: SessionValue(role: .user, client: ClientInfo(ipAddress: "192.0.2.1", userAgent: "model")),
                ttl: .milliseconds(Int64.random(in: 5_000...60_000, using: &random)),
                maxSessions: Int.random(in: 0...4, using: &random),
                policy: [DuplicateLogin.allow, .allow, .allow, .replace, .reject].randomElement(using: &random)
                    ?? .allow
            )
            new.token = IssuedToken(
                text: "",
                id: "t\(UInt32.random(in: 0 ... .max, using: &random))",
                expiresAt: ServerTime(
                    millisecondsSinceEpoch: clock.now + Int64.random(in: 1_000...90_000, using: &random)
                )
            )
            return new
        }

        func step() async throws {
            clock.advance(Int64.random(in: 0...4_000, using: &random))
            let some = known.randomElement(using: &random)
            switch (Int.random(in: 0..<10, using: &random), some) {
            case (0...2, _), (_, nil): try await create(new(SessionID().handle))
            case (3, let some?):
                var revived = new(some.handle)
                revived.revives = true
                revived.createdAt = ServerTime(millisecondsSinceEpoch: 2_499_999_999_000)
                try await create(revived)
            case (4, let some?):
                var rotated = new(SessionID().handle)
                rotated.replaced = some.handle
                rotated.policy = .allow
                rotated.maxSessions = 0
                try await create(rotated)
            case (5...7, let some?): try await touch(some)
            case (8, let some?): try await end([some.handle], except: nil)
            case (_, let some?): try await end(nil, except: Bool.random(using: &random) ? some.handle : nil)
            }
        }

        private func create(_ new: SessionStore.NewSession) async throws {
            let expected = model.create(new, now: clock.now)
            switch try await store.create(new) {
            case .refused: #expect(expected == nil)
            case .alive(let session):
                #expect(expected == [])
                #expect(session.expiresAt.millisecondsSinceEpoch == model.sessions[new.handle]?.expires)
            case .created(_, let displaced): #expect(Set(displaced.map(\.handle)) == expected)
            }
            if expected != nil, let token = new.token { known.append((new.handle, token.id)) }
        }

        private func touch(_ some: (handle: SessionHandle, token: String)) async throws {
            let (ttl, threshold, accesses) = (
                Int64.random(in: 5_000...60_000, using: &random), Int64.random(in: 0...30_000, using: &random),
                Int.random(in: 0...3, using: &random)
            )
            let expected = model.touch(
                some.handle,
                token: some.token,
                ttl: ttl,
                threshold: threshold,
                accesses: accesses,
                now: clock.now
            )
            let touch = try await store.touch(
                some.handle,
                of: user,
                token: some.token,
                ttl: .milliseconds(ttl),
                threshold: .milliseconds(threshold),
                accesses: accesses
            )
            switch (touch, expected) {
            case (.gone, .gone), (.deadToken, .deadToken): break
            // A token that is dead and a session that is past its end but not yet swept: either answer refuses.
            case (.deadToken, .gone), (.gone, .deadToken): break
            case (.alive(let touched), .alive(let entry)):
                #expect(touched.session.accessCount == entry.count)
                #expect(touched.session.lastActivity.millisecondsSinceEpoch == entry.seen)
                #expect(touched.session.expiresAt.millisecondsSinceEpoch == entry.expires)
            default: Issue.record("touched \(touch), expected \(expected)")
            }
        }

        private func end(_ handles: [SessionHandle]?, except: SessionHandle?) async throws {
            let ended = try await store.end(handles, of: user, reason: .logout, except: except)
            let alive = Set(model.sessions.filter { $0.value.expires > clock.now }.keys)
            let leaving = (handles.map(Set.init) ?? Set(model.sessions.keys)).subtracting([except].compactMap { $0 })
            #expect(Set(ended.sessions.map(\.handle)).isSuperset(of: alive.intersection(leaving)))
            for handle in leaving { model.end(handle, clock.now) }
        }

        /// The list and the index say what the model says.
        func compare() async throws {
            model.expire(clock.now)
            let listed = try await store.list(of: user)
            #expect(Set(listed.map(\.handle)) == Set(model.sessions.keys))
            for session in listed {
                let entry = model.sessions[session.handle]
                #expect(session.createdAt.millisecondsSinceEpoch == entry?.created)
                #expect(session.accessCount == entry?.count)
            }
            let index =
                try await store.redis.send(
                    RedisCommand("ZRANGE", RedisArgument(SessionsKeys.index(of: user)), "0", "-1", "WITHSCORES")
                ).array ?? []
            var scores: [String: Int] = [:]
            for position in stride(from: 0, to: index.count, by: 2) {
                scores[index[position].string ?? ""] = index[position + 1].string.flatMap { Int($0) }
            }
            #expect(
                scores
                    == Dictionary(uniqueKeysWithValues: model.sessions.map { ($0.key.rawValue, Int($0.value.expires)) })
            )
        }

        func tearDown() async throws {
            _ = try await store.end(nil, of: user, reason: .logout)
            _ = try await store.end(known.map(\.handle), of: user, reason: .logout)
            let dead = model.dead.map { RedisArgument(SessionsKeys.dead($0, of: user)) }
            if !dead.isEmpty { _ = try await store.redis.send(RedisCommand("DEL", arguments: dead)) }
        }
    }

    @Test("Random sign-ins, uses and ends leave Redis as the model says", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func matchesModel(seed: UInt64) async throws {
        try await TestRedis.withClient { redis in
            let bench = try Bench(redis, seed: seed)
            for step in 0..<1_500 {
                try await bench.step()
                if step % 10 == 0 { try await bench.compare() }
                if bench.known.count > 40 { bench.known.removeFirst(20) }
            }
            try await bench.compare()
            try await bench.tearDown()
        }
    }
}
