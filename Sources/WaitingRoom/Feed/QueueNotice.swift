package import HoldfastCore

/// What a connected person is told about their place.
package enum QueueNotice: Sendable, Equatable {
    /// Never worse than what the person was told before of the same `qseq`. To be said as
    /// ``QueueFeed/current(_:in:)`` has it.
    case position(UserID, qseq: Int64, position: Int, total: Int, eta: QueueEstimate.Wait?)
    case lobby(UserID, total: Int)
    case admitted(UserID, expiresAt: ServerTime)
    /// The pass has ended.
    case expired(UserID)
    /// An administrator emptied the line.
    case cleared(UserID)
    /// The person left, in another tab.
    case removed(UserID)
}
