import Foundation
import HoldfastCore
import Redis
import TestSupport
import Testing

@testable import Presence

@Suite(.enabled(if: TestRedis.isConfigured)) struct PresenceRedisTests {
    private func someone() throws -> UserID { try #require(UserID("presence-\(UUID().uuidString)")) }

    private func withPresence(
        stateTTL: Duration = .seconds(60),
        _ body: (Presence, RedisClient) async throws -> Void
    ) async throws {
        try await TestRedis.withClient { redis in try await body(Presence(redis: redis, stateTTL: stateTTL), redis) }
    }

    // MARK: A user's state

    @Test("Who was nowhere has no state, and every place is remembered beside the others")
    func places() async throws {
        try await withPresence { presence, _ in
            let (user, concert, play) = (try someone(), EventID(), EventID())
            #expect(try await presence.state(of: user) == nil)
            try await presence.enter(.queue, of: concert, user: user)
            try await presence.enter(.seats, of: play, user: user)
            let state = try #require(try await presence.state(of: user))
            #expect((state.eventID, state.queueEventID, state.seatEventID) == (nil, concert, play))
            #expect(abs(ServerTime.now.millisecondsSinceEpoch - state.lastActivity.millisecondsSinceEpoch) < 60_000)
        }
    }

    @Test("Leaving an event does not forget the one gone to since")
    func leavingLate() async throws {
        try await withPresence { presence, _ in
            let (user, before, now) = (try someone(), EventID(), EventID())
            try await presence.enter(.seats, of: before, user: user)
            try await presence.enter(.seats, of: now, user: user)
            try await presence.leave(.seats, of: before, user: user)
            #expect(try await presence.state(of: user)?.seatEventID == now)
            try await presence.leave(.seats, of: now, user: user)
            #expect(try await presence.state(of: user) == nil)
        }
    }

    @Test("State lives STATE_TTL after the last activity, and activity makes none")
    func lifetime() async throws {
        try await withPresence(stateTTL: .seconds(30)) { presence, redis in
            let (present, absent) = (try someone(), try someone())
            let key = RedisArgument(PresenceKeys.state(of: present))
            try await presence.enter(.event, of: EventID(), user: present)
            _ = try await redis.send(RedisCommand("PEXPIRE", key, "5000"))
            try await presence.touch([present, absent])
            let left = try #require(try await redis.send(RedisCommand("PTTL", key)).int)
            #expect((20_000...30_000).contains(left))
            #expect(try await presence.state(of: absent) == nil)
        }
    }

    @Test("Fields and ids that cannot be read are skipped")
    func unreadable() {
        #expect(UserState(fields: []) == nil)
        #expect(UserState(fields: ["eventId", "x"]) == nil)
        let state = UserState(fields: ["eventId", "nonsense", "new", "1", "lastActivity", "5", "odd"])
        #expect(state?.isEmpty == true)
        #expect(state?.lastActivity == ServerTime(millisecondsSinceEpoch: 5))
    }

    // MARK: An event's room

    @Test("A user counts once in a room, and arriving is remembered as a place")
    func room() async throws {
        try await withPresence { presence, _ in
            let (first, second, event) = (try someone(), try someone(), EventID())
            #expect(try await presence.occupancy(of: event) == 0)
            #expect(try await presence.arrive(first, in: event) == 1)
            #expect(try await presence.arrive(first, in: event) == 1)
            #expect(try await presence.arrive(second, in: event) == 2)
            #expect(try await presence.state(of: first)?.eventID == event)
            #expect(try await presence.depart(first, from: event) == 1)
            #expect(try await presence.state(of: first) == nil)
            #expect(try await presence.occupancy(of: event) == 1)
        }
    }

    @Test("Who loses the connection leaves the room and keeps the state")
    func vanish() async throws {
        try await withPresence { presence, _ in
            let (user, event) = (try someone(), EventID())
            _ = try await presence.arrive(user, in: event)
            try await presence.vanish(user, from: event)
            #expect(try await presence.occupancy(of: event) == 0)
            #expect(try await presence.state(of: user)?.eventID == event)
        }
    }

    @Test("People of an instance that died leave the room by themselves, those still mentioned stay")
    func deadInstance() async throws {
        try await withPresence { presence, redis in
            let (gone, here, event) = (try someone(), try someone(), EventID())
            let key = RedisArgument(PresenceKeys.room(of: event))
            let longAgo = ServerTime.now.millisecondsSinceEpoch - Presence.roomTTL.milliseconds - 60_000
            _ = try await redis.send(RedisCommand("ZADD", key, RedisArgument(longAgo), RedisArgument(gone.rawValue)))
            try await presence.stillHere([here], in: event)
            #expect(try await presence.occupancy(of: event) == 1)
            let ttl = try #require(try await redis.send(RedisCommand("PTTL", key)).int)
            #expect((1...60_000).contains(ttl))
        }
    }

    @Test("A thousand people are mentioned in several calls")
    func crowd() async throws {
        try await withPresence { presence, _ in
            let event = EventID()
            try await presence.stillHere(try (0..<1_203).map { _ in try someone() }, in: event)
            #expect(try await presence.occupancy(of: event) == 1_203)
        }
    }
}
