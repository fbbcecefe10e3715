package import HoldfastCore
package import Redis

/// Where people are: each user's reconnectable state, and who is in an event's room.
///
/// Both are conveniences held in Redis alone. Losing them costs a person one click, never a place or a seat.
package final class Presence: Sendable {
    private let redis: RedisClient
    private let stateTTL: Duration
    /// Tells this process from the others in the rooms; it need not outlive it.
    private let instance = String(UInt64.random(in: 0 ... .max), radix: 36)

    /// Those who come at one moment are looked up, and written down, together.
    private let states = Gathering<String, UserID, UserState>(groupSize: batch)
    private let arrivals = Gathering<EventID, UserID, Int>(groupSize: batch)

    /// How long an instance's word that somebody is in a room counts; instances repeat it every third of it.
    package static let roomTTL = Duration.seconds(30)
    /// Users per script call: keeps each script well under a millisecond.
    private static let batch = 500

    private static let places = RedisScript(name: "UserPlaces", source: PackageResources.UserPlaces_lua)
    private static let room = RedisScript(name: "EventRoom", source: PackageResources.EventRoom_lua)

    /// - Parameter stateTTL: `STATE_TTL`, how long the state outlives the last activity.
    package init(redis: RedisClient, stateTTL: Duration) {
        self.redis = redis
        self.stateTTL = stateTTL
    }

    // MARK: A user's state

    /// - Returns: nil if the user has no live state.
    package func state(of user: UserID) async throws -> UserState? {
        try await states.value(user, in: "states") { try await self.states(of: $0) }
    }

    private func states(of users: [UserID]) async throws -> [UserID: UserState] {
        let commands = users.map { RedisCommand("HGETALL", RedisArgument(PresenceKeys.state(of: $0))) }
        var found: [UserID: UserState] = [:]
        for (user, reply) in zip(users, try await redis.send(commands)) {
            if let failure = reply.failure { throw failure }
            let state = UserState(fields: (reply.array ?? []).compactMap(\.string))
            if let state, !state.isEmpty { found[user] = state }
        }
        return found
    }

    package func enter(_ place: Place, of event: EventID, user: UserID) async throws(RedisError) {
        try await run([at("enter", place, event, user)])
    }

    /// Forgets the place, unless the user has gone on to another event meanwhile.
    package func leave(_ place: Place, of event: EventID, user: UserID) async throws(RedisError) {
        try await run([at("leave", place, event, user)])
    }

    /// Notes activity of many users in pipelines of at most 500; those without state stay without.
    package func touch(_ users: some Collection<UserID>) async throws(RedisError) {
        let calls = users.map { call("touch", $0) }
        for start in stride(from: 0, to: calls.count, by: Self.batch) {
            try await run(Array(calls[start..<min(start + Self.batch, calls.count)]))
        }
    }

    private func at(_ action: RedisArgument, _ place: Place, _ event: EventID, _ user: UserID) -> RedisScriptCall {
        call(action, user, RedisArgument(place.rawValue), RedisArgument(event.rawValue))
    }

    private func call(_ action: RedisArgument, _ user: UserID, _ more: RedisArgument...) -> RedisScriptCall {
        RedisScriptCall(
            Self.places,
            keys: [PresenceKeys.state(of: user)],
            arguments: [action, RedisArgument(stateTTL.milliseconds)] + more
        )
    }

    // MARK: An event's room

    /// Puts a user into the event's room, and notes that they are there.
    /// - Returns: how many different users are in it, on all instances.
    package func arrive(_ user: UserID, in event: EventID) async throws -> Int {
        let total = try await arrivals.value(user, in: event) { users in
            let calls = users.map { self.at("enter", .event, event, $0) }
            let count = try await self.count([self.inRoom("arrive", users, event)] + calls)
            return Dictionary(users.map { ($0, count) }, uniquingKeysWith: { first, _ in first })
        }
        return total ?? 0
    }

    /// The user has left the room for good.
    /// - Returns: how many different users remain. A user with another tab elsewhere stays.
    package func depart(_ user: UserID, from event: EventID) async throws(RedisError) -> Int {
        try await count([inRoom("depart", [user], event), at("leave", .event, event, user)])
    }

    /// The user's connection is gone; their state stays, for they may come back.
    package func vanish(_ user: UserID, from event: EventID) async throws(RedisError) {
        _ = try await count([inRoom("depart", [user], event)])
    }

    package func occupancy(of event: EventID) async throws(RedisError) -> Int {
        try await count([inRoom("count", [], event)])
    }

    /// Says again that these users are here. Each instance does so for its own, every ten seconds.
    package func stillHere(_ users: [UserID], in event: EventID) async throws(RedisError) {
        for start in stride(from: 0, to: users.count, by: Self.batch) {
            let batch = users[start..<min(start + Self.batch, users.count)]
            _ = try await count([inRoom("arrive", batch, event)])
        }
    }

    private func inRoom(
        _ action: RedisArgument,
        _ users: some Collection<UserID>,
        _ event: EventID
    ) -> RedisScriptCall {
        RedisScriptCall(
            Self.room,
            keys: [PresenceKeys.room(of: event), PresenceKeys.roomInstances(of: event)],
            arguments: [action, RedisArgument(Self.roomTTL.milliseconds), RedisArgument(instance)]
                + users.map { RedisArgument($0.rawValue) }
        )
    }

    // MARK: One pipeline

    /// - Returns: the first reply.
    private func count(_ calls: [RedisScriptCall]) async throws(RedisError) -> Int {
        try await run(calls).first?.int ?? 0
    }

    @discardableResult
    private func run(_ calls: [RedisScriptCall]) async throws(RedisError) -> [RESPValue] {
        let replies = try await redis.eval(calls)
        for reply in replies { if let failure = reply.failure { throw failure } }
        return replies
    }
}
