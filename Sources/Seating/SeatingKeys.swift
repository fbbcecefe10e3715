package import HoldfastCore

/// Every Redis key of an event's seats, in the order in which the scripts take them.
///
/// All share the tag `{event:<id>}`, so a script stays in one slot of a Redis Cluster. They belong to the event and go
/// with it; what grows is bounded by its places (holds, claims, map), its log (about 1,000 messages) or an hour (freed).
package struct SeatingKeys: Sendable {
    package let meta: String
    package let holds: String
    package let holders: String
    package let expiry: String
    package let warnings: String
    package let claims: String
    package let claimants: String
    package let log: String
    package let freed: String
    package let map: String
    /// The Pub/Sub channel that scripts publish ``SeatMessage``s on.
    package let channel: String

    package init(event: EventID) {
        let prefix = "hf:{event:\(event)}:seats"
        meta = "\(prefix):meta"
        holds = "\(prefix):holds"
        holders = "\(prefix):holders"
        expiry = "\(prefix):expiry"
        warnings = "\(prefix):warnings"
        claims = "\(prefix):claims"
        claimants = "\(prefix):claimants"
        log = "\(prefix):log"
        freed = "\(prefix):freed"
        map = "\(prefix):map"
        channel = "\(prefix):messages"
    }

    /// `KEYS[1]` to `KEYS[10]` of the scripts.
    package var all: [String] { [meta, holds, holders, expiry, warnings, claims, claimants, log, freed, map] }

    /// The lease of the one ``HoldSweeper`` at work.
    package static let sweeperLease = "hf:seats:sweeper"
}
