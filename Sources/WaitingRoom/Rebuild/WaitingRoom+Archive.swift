package import HoldfastCore
import Redis

extension WaitingRoom {
    /// Removes an event's queue from Redis. It was a copy: whoever looks at the event again has it rebuilt.
    ///
    /// For events that are closed.
    package func archive(_ event: EventID) async throws {
        let keys = WaitingRoomKeys.all(event).map { RedisArgument($0) }
        _ = try await redis.send(RedisCommand("UNLINK", arguments: keys))
    }
}
