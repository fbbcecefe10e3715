package import HoldfastCore

extension WaitingRoom {
    /// Removes an event's queue from Redis. It was a copy: whoever looks at the event again has it rebuilt.
    ///
    /// For events that are closed.
    package func archive(_ event: EventID) async throws {
        try await forget(event)
    }
}
