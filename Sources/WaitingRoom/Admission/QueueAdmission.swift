import HoldfastCore

/// One person on the way in: chosen by a tick, then written to PostgreSQL, then let in by the next tick.
struct QueueAdmission: Sendable, Equatable {
    var user: UserID
    var qseq: Int64
    /// When the pass ends, once PostgreSQL has it; nil before, and for a place that is over there.
    var expiresAtMs: Int64?
}
