package import HoldfastCore

/// Every Redis key of this slice.
package enum PresenceKeys {
    /// Hash of one user's reconnectable state: `eventId`, `queueEventId`, `seatEventId`, `lastActivity` in ms.
    package static func state(of user: UserID) -> String { "hf:{user:\(user)}:state" }

    /// Sorted set of the people in an event's room: user → last seen, in ms by Redis' clock.
    package static func room(of event: EventID) -> String { "hf:{event:\(event)}:room" }

    /// Hash of the same people: user → the instances with a socket of theirs in the room.
    package static func roomInstances(of event: EventID) -> String { "hf:{event:\(event)}:room-instances" }

    /// Held for a second by the instance that last told the room how many are in it.
    package static func announcement(of event: EventID) -> String { "hf:{event:\(event)}:room-announced" }
}
