package import HoldfastCore
import Redis

/// Every key of the waiting room. All of an event share its hash tag, so that one script may touch them all.
///
/// The order of ``all(_:)`` is the order of `KEYS` in every script; `QueueCommon.lua` says what each holds.
package enum WaitingRoomKeys {
    /// The sorted set of passes: user, scored by `expires_at_ms`. A pass is good while its score is in the future by
    /// Redis' clock. Seating's scripts look here.
    package static func passes(_ event: EventID) -> String { key(event, "passes") }

    /// The Pub/Sub channel of an event's ticks.
    package static func channel(_ event: EventID) -> String { key(event, "ticks") }

    static func meta(_ event: EventID) -> String { key(event, "meta") }
    static func passPlaces(_ event: EventID) -> String { key(event, "pass-places") }
    static func gone(_ event: EventID) -> String { key(event, "gone") }

    /// The sorted sets of those who wait: in line, passed over, being let in.
    static func line(_ event: EventID) -> [String] {
        [key(event, "waiting"), key(event, "away"), key(event, "admitting")]
    }

    static let leaderLease = "hf:queue:leader"
    /// Who has just taken a place, as `EVENT USER…`: their sockets may be on any instance.
    static let newcomers = "hf:queue:newcomers"

    static func all(_ event: EventID) -> [String] {
        [
            meta(event), key(event, "waiting"), key(event, "away"), key(event, "seen"), passes(event),
            passPlaces(event), gone(event), key(event, "news"), key(event, "admitting"),
            key(event, "lobby"), key(event, "pass-tokens"),
        ]
    }

    private static func key(_ event: EventID, _ name: String) -> String { "hf:{event:\(event.rawValue)}:queue:\(name)" }
}
