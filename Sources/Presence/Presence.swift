package import HoldfastCore
package import Redis

/// Where people are: each user's reconnectable state, and who is in an event's room.
///
/// Both are conveniences held in Redis alone. Losing them costs a person one click, never a place or a seat.
package final class Presence: Sendable {
    private let redis: RedisClient
    private let stateTTL: Duration
    /// Tells this process from the others in the rooms; it need not outlive it.
    private let instance: String

    /// Those who come at one moment are looked up, and written down, together.
    private let states: Gathering<String, UserID, UserState>
    private let arrivals: Gathering<EventID, UserID, Int>

    /// How long an instance's word that somebody is in a room counts; instances repeat it every third of it.
    package static let roomTTL = Duration.seconds(30)
    /// Users per script call: keeps each script well under a millisecond.
    private static let batch = 500

    private static let places = RedisScript(name: "UserPlaces", source: PackageResources.UserPlaces_lua)
    private static let room = RedisScript(name: "EventRoom", source: PackageResources.EventRoom_lua)

    /// - Parameter stateTTL: `STATE_TTL`, how long the state outlives the last activity.
    package init(redis: RedisClient, stateTTL: Duration) {
        let instance = String(UInt64.random(in: 0 ... .max), radix: 36)
        self.redis = redis
        self.stateTTL = stateTTL
        self.instance = instance
        states = Gathering(groupSize: Self.batch) { _, users in try await Self.states(of: users, redis) }
        arrivals = Gathering(groupSize: Self.batch) { event, users in
            let calls = users.map { Self.at("enter", .event, event, $0, stateTTL) }
            let count = try await Self.run([Self.inRoom("arrive", users, event, instance)] + calls, redis).first?.int
            return Dictionary(users.map { ($0, count ?? 0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    // MARK: A user's state

    /// - Returns: nil if the user has no live state.
    package func state(of user: UserID) async throws -> UserState? {
        try await states.value(user, in: "states")
    }

    private static func states(of users: [UserID], _ redis: RedisClient) async throws -> [UserID: UserState] {
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
        try await run([Self.at("enter", place, event, user, stateTTL)])
    }

    /// Forgets the place, unless the user has gone on to another event meanwhile.
    package func leave(_ place: Place, of event: EventID, user: UserID) async throws(RedisError) {
        try await run([Self.at("leave", place, event, user, stateTTL)])
    }

    /// Notes activity of many users in pipelines of at most 500; those without state stay without.
    package func touch(_ users: some Collection<UserID>) async throws(RedisError) {
        let calls = users.map { Self.call("touch", $0, stateTTL) }
        for start in stride(from: 0, to: calls.count, by: Self.batch) {
            try await run(Array(calls[start..<min(start + Self.batch, calls.count)]))
        }
    }

    private static func at(
        _ action: RedisArgument,
        _ place: Place,
        _ event: EventID,
        _ user: UserID,
        _ stateTTL: Duration
    ) -> RedisScriptCall {
        call(action, user, stateTTL, RedisArgument(place.rawValue), RedisArgument(event.rawValue))
    }

    private static func call(
        _ action: RedisArgument,
        _ user: UserID,
        _ stateTTL: Duration,
        _ more: RedisArgument...
    ) -> RedisScriptCall {
        RedisScriptCall(
            places,
            keys: [PresenceKeys.state(of: user)],
            arguments: [action, RedisArgument(stateTTL.milliseconds)] + more
        )
    }

    // MARK: An event's room

    /// Puts a user into the event's room, and notes that they are there.
    /// - Returns: how many different users are in it, on all instances.
    package func arrive(_ user: UserID, in event: EventID) async throws -> Int {
        try await arrivals.value(user, in: event) ?? 0
    }

    /// The user has left the room for good.
    /// - Returns: how many different users remain. A user with another tab elsewhere stays.
    package func depart(_ user: UserID, from event: EventID) async throws(RedisError) -> Int {
        try await count([
            Self.inRoom("depart", [user], event, instance), Self.at("leave", .event, event, user, stateTTL),
        ])
    }

    /// The user's connection is gone; their state stays, for they may come back.
    package func vanish(_ user: UserID, from event: EventID) async throws(RedisError) {
        _ = try await count([Self.inRoom("depart", [user], event, instance)])
    }

    package func occupancy(of event: EventID) async throws(RedisError) -> Int {
        try await count([Self.inRoom("count", [], event, instance)])
    }

    /// Says again that these users are here. Each instance does so for its own, every ten seconds.
    package func stillHere(_ users: [UserID], in event: EventID) async throws(RedisError) {
        for start in stride(from: 0, to: users.count, by: Self.batch) {
            let batch = users[start..<min(start + Self.batch, users.count)]
            _ = try await count([Self.inRoom("arrive", batch, event, instance)])
        }
    }

    private static func inRoom(
        _ action: RedisArgument,
        _ users: some Collection<UserID>,
        _ event: EventID,
        _ instance: String
    ) -> RedisScriptCall {
        RedisScriptCall(
            room,
            keys: [PresenceKeys.room(of: event), PresenceKeys.roomInstances(of: event)],
            arguments: [action, RedisArgument(roomTTL.milliseconds), RedisArgument(instance)]
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
        try await Self.run(calls, redis)
    }

    private static func run(_ calls: [RedisScriptCall], _ redis: RedisClient) async throws(RedisError) -> [RESPValue] {
        let replies = try await redis.eval(calls)
        for reply in replies { if let failure = reply.failure { throw failure } }
        return replies
    }
}
