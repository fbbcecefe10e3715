package import HoldfastCore
package import Redis

extension Seating {
    /// Removes an event's seat state from Redis. It was a copy: whoever looks at the event again has it rebuilt.
    ///
    /// For events that are closed and settled; of others it would end the holds.
    package static func archive(_ event: EventID, in redis: RedisClient) async throws {
        let keys = SeatingKeys(event: event).all.map { RedisArgument($0) }
        _ = try await redis.send(RedisCommand("UNLINK", arguments: keys))
    }
}
