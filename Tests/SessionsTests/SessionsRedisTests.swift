import HoldfastCore
import Logging
import NIOCore
import Redis
import Synchronization
import TestSupport
import Testing

@testable import Sessions

@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured), .timeLimit(.minutes(20)))
struct SessionsRedisTests {
    @Test("A sign-in is good on every request until it is ended, and then dead at once")
    func lifeOfASession() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let signedIn = try await harness.authenticate(signIn.accessToken)
            #expect(signedIn.user == harness.user)
            #expect(signedIn.session.handle == signIn.sessionHandle)
            #expect(signedIn.session.client == harness.client)
            #expect(signedIn.session.accessCount == 1)
            #expect((3_598...3_600).contains(signedIn.session.ttlSeconds))
            let id = harness.user.userID
            #expect(try await harness.sessions.liveness(of: [(id, signIn.sessionHandle)]) == [true])
            #expect(try await harness.sessions.end(signIn.sessionHandle, of: id, reason: .logout))
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "session expired")
            #expect(try await harness.sessions.liveness(of: [(id, signIn.sessionHandle)]) == [false])
            #expect(
                try await harness.sessions.refresh(signIn.refreshToken, client: harness.client).word == "session ended"
            )
        }
    }

    @Test("Redis holds neither the session id nor what is known of the device in clear")
    func encrypted() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let signedIn = try await harness.authenticate(signIn.accessToken)
            let key = SessionsKeys.session(signIn.sessionHandle, of: harness.user.userID)
            let reply = try await harness.redis.send(RedisCommand("HGETALL", RedisArgument(key)))
            let fields = (reply.array ?? []).compactMap(\.buffer).map {
                String(decoding: $0.readableBytesView, as: UTF8.self)
            }
            let stored = fields.joined() + key
            #expect(!stored.contains("test browser"))
            #expect(!stored.contains("192.0.2.7"))
            #expect(!stored.contains(signedIn.sessionID.base64URLText))
        }
    }

    @Test("A session with little left is extended by use, one with enough is not")
    func sliding() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            let before = try await harness.authenticate(signIn.accessToken).session.expiresAt
            #expect(try await harness.authenticate(signIn.accessToken).session.expiresAt == before)
            var always = harness.sessions.configuration
            always.sessionTTL = .seconds(7_200)
            always.refreshThreshold = .seconds(7_200)
            let instance = await harness.instance(always)
            guard case .valid(let extended) = try await instance.authenticate(signIn.accessToken)
            else { throw SessionsHarness.Unexpected() }
            #expect(extended.session.ttlSeconds == 7_200)
            #expect(
                try await harness.sessions.extend(signIn.sessionHandle, of: harness.user.userID)?.ttlSeconds == 7_200
            )
        }
    }

    @Test("Accesses within 5 seconds are one write, and none of them is lost")
    func counted() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            for _ in 0..<5 { _ = try await harness.authenticate(signIn.accessToken) }
            #expect(try await harness.authenticate(signIn.accessToken).session.accessCount == 1)
            // Six seconds ago, says Redis.
            let key = SessionsKeys.session(signIn.sessionHandle, of: harness.user.userID)
            let sixAgo = ServerTime.now.millisecondsSinceEpoch - 6_000
            _ = try await harness.redis.send(RedisCommand("HSET", RedisArgument(key), "seen", RedisArgument(sixAgo)))
            #expect(try await harness.authenticate(signIn.accessToken).session.accessCount == 7)
        }
    }

    @Test("Past the maximum the oldest session goes, with its refresh token")
    func maximum() async throws {
        try await SessionsHarness.run(configure: { $0.maxSessionsPerUser = 3 }) { harness in
            var signIns: [SignIn] = []
            for _ in 0..<4 { signIns.append(try await harness.signIn()) }
            let list = try await harness.sessions.list(of: harness.user.userID)
            #expect(list.count == 3)
            var dead = 0
            for signIn in signIns where try await harness.sessions.authenticate(signIn.accessToken).word != "valid" {
                dead += 1
                #expect(
                    try await harness.sessions.refresh(signIn.refreshToken, client: harness.client).word
                        == "session ended"
                )
            }
            #expect(dead == 1)
            #expect(try await harness.sessions.authenticate(signIns[3].accessToken).word == "valid")
        }
    }

    @Test("With replace, of many sign-ins at one moment one session is left")
    func replace() async throws {
        try await SessionsHarness.run(configure: { $0.duplicateLogin = .replace }) { harness in
            let signIns = try await withThrowingTaskGroup(of: SignIn.self) { group in
                for _ in 0..<10 { group.addTask { try await harness.signIn() } }
                return try await group.reduce(into: [SignIn]()) { $0.append($1) }
            }
            #expect(try await harness.sessions.list(of: harness.user.userID).count == 1)
            var alive = 0
            for signIn in signIns where try await harness.sessions.authenticate(signIn.accessToken).word == "valid" {
                alive += 1
            }
            #expect(alive == 1)
        }
    }

    @Test("With reject, a second sign-in is refused until the first ends")
    func reject() async throws {
        try await SessionsHarness.run(configure: { $0.duplicateLogin = .reject }) { harness in
            let first = try await harness.signIn()
            guard case .alreadySignedIn = try await harness.sessions.create(for: harness.user, client: harness.client)
            else { throw SessionsHarness.Unexpected() }
            _ = try await harness.sessions.end(first.sessionHandle, of: harness.user.userID, reason: .logout)
            _ = try await harness.signIn()
        }
    }

    @Test("Ending all but one leaves that one, and other people's")
    func endAll() async throws {
        try await SessionsHarness.run { harness in
            let (kept, other) = (try await harness.signIn(), try await harness.signIn())
            let id = harness.user.userID
            let ended = try await harness.sessions.endAll(of: id, reason: .logoutAll, except: kept.sessionHandle)
            #expect(ended == SessionsEnded(sessions: 1, tokens: 1))
            #expect(try await harness.sessions.authenticate(kept.accessToken).word == "valid")
            #expect(try await harness.sessions.authenticate(other.accessToken).word == "session expired")
            let stranger = try #require(UserID("stranger"))
            #expect(try await harness.sessions.end(kept.sessionHandle, of: stranger, reason: .admin) == false)
            #expect(try await harness.sessions.authenticate(kept.accessToken).word == "valid")
        }
    }

    @Test("A rotation gives a new set for the same device, and the old set is dead")
    func rotate() async throws {
        try await SessionsHarness.run { harness in
            let old = try await harness.signIn()
            let before = try await harness.authenticate(old.accessToken)
            let new = try await harness.sessions.rotate(before)
            #expect(new.sessionHandle != old.sessionHandle)
            #expect(try await harness.authenticate(new.accessToken).session.createdAt == before.session.createdAt)
            #expect(try await harness.sessions.authenticate(old.accessToken).word == "session expired")
            #expect(
                try await harness.sessions.refresh(old.refreshToken, client: harness.client).word == "session ended"
            )
            #expect(try await harness.sessions.list(of: harness.user.userID).count == 1)
        }
    }

    @Test("Who was displaced does not come back, also if the instance died before it could revoke the refresh token")
    func displacedForGood() async throws {
        try await SessionsHarness.run(configure: { $0.duplicateLogin = .replace }) { harness in
            let (sessions, id) = (harness.sessions, harness.user.userID)
            let old = try await harness.signIn()
            // All that the script does of a sign-in, and then nothing more.
            let new = SessionID()
            let created = try await sessions.store.create(
                SessionStore.NewSession(
                    user: id,
                    handle: new.handle,
                    value: SessionValue(role: .user, client: harness.client),
                    ttl: .seconds(60),
                    maxSessions: 10,
                    policy: .replace
                )
            )
            guard case .created(_, let displaced) = created else { throw SessionsHarness.Unexpected() }
            #expect(displaced.map(\.handle) == [old.sessionHandle])
            // And later the new session ends, too, so that nothing of it is left to be asked about.
            _ = try await sessions.store.end([new.handle], of: id, reason: .logout)
            for _ in 0..<2 {
                #expect(
                    try await sessions.refresh(old.refreshToken, client: harness.client).word == "session ended"
                )
            }
            #expect(try await sessions.list(of: id).isEmpty)
            // A sign-in that came to its end leaves no mark behind.
            let (third, fourth) = (try await harness.signIn(), try await harness.signIn())
            let mark = RedisArgument(SessionsKeys.displaced(third.sessionHandle, of: id))
            #expect(try await harness.redis.send(RedisCommand("EXISTS", mark)).int == 0)
            #expect(try await sessions.refresh(third.refreshToken, client: harness.client).word == "session ended")
            #expect(try await sessions.refresh(fourth.refreshToken, client: harness.client).word == "refreshed")
        }
    }

    @Test("A disabled user's live session lets nobody in")
    func disabled() async throws {
        try await SessionsHarness.run { harness in
            let signIn = try await harness.signIn()
            harness.disabled.insert(harness.user.userID)
            #expect(try await harness.sessions.authenticate(signIn.accessToken).word == "disabled")
            #expect(try await harness.sessions.refresh(signIn.refreshToken, client: harness.client).word == "disabled")
        }
    }

    @Test("The CSRF token of a session is right for it alone")
    func csrf() async throws {
        try await SessionsHarness.run { harness in
            let (a, b) = (try await harness.signIn(), try await harness.signIn())
            let signedIn = try await harness.authenticate(a.accessToken)
            #expect(harness.sessions.csrfToken(for: signedIn) == a.csrfToken)
            #expect(harness.sessions.isCSRFToken(a.csrfToken, of: signedIn))
            #expect(!harness.sessions.isCSRFToken(b.csrfToken, of: signedIn))
            #expect(!harness.sessions.isCSRFToken("", of: signedIn))
        }
    }

    @Test("Load-test sessions are live, count against no maximum and are listed")
    func loadTest() async throws {
        try await SessionsHarness.run { harness in
            let id = try #require(UserID("load-\(harness.user.userID)"))
            let tokens = try await harness.sessions.createMany(for: Array(repeating: id, count: 30))
            #expect(tokens.count == 30)
            let signedIn = try await harness.authenticate(tokens[29])
            #expect((21_595...21_600).contains(signedIn.session.ttlSeconds))
            #expect(try await harness.sessions.list(of: id).count == 30)
            #expect(try await harness.sessions.activeUsers().contains(id))
            #expect(try await harness.sessions.countActive() >= 30)
        }
    }

    @Test("Every instance hears which session ended and why")
    func watched() async throws {
        try await SessionsHarness.run { harness in
            try await TestRedis.withSubscriber { subscriber in
                let heard = Mutex<SessionEnded?>(nil)
                let id = harness.user.userID
                let watcher = SessionWatcher(
                    subscriber: subscriber,
                    logger: Logger(label: "test"),
                    onEnded: { ended in if ended.user == id { heard.withLock { $0 = ended } } },
                    onGap: {}
                )
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await watcher.run() }
                    defer { group.cancelAll() }
                    // What ends before the watcher listens goes unheard, so end sessions until one is heard.
                    while heard.withLock({ $0 == nil }) {
                        let signIn = try await harness.signIn()
                        _ = try await harness.sessions.end(signIn.sessionHandle, of: id, reason: .admin)
                    }
                    let reason = heard.withLock { $0?.reason }
                    #expect(reason == .admin)
                }
            }
        }
    }
}
