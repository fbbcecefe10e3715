package import Events
package import HoldfastCore

/// Where a person stands at the door of an event.
package enum QueueStanding: Sendable, Equatable {
    /// Not in the queue: never joined, left, cleared, or the pass has expired.
    case none
    /// The event has no waiting room: everyone counts as admitted.
    case disabled
    /// Waits for the draw at the opening, with so many others.
    case lobby(total: Int)
    /// `position` is 1 for the next to go in. It gets better only, as long as `qseq`, the place's number, is the same.
    /// No estimate while nobody is let in.
    case waiting(qseq: Int64, position: Int, total: Int, eta: QueueEstimate.Wait?)
    /// May choose seats until then, by Redis' clock.
    case admitted(expiresAt: ServerTime)
    /// The event is over.
    case closed
}

/// The figures of a waiting room.
package struct QueueState: Sendable, Equatable {
    package var waiting: Int
    package var lobby: Int
    /// Passes that are good now.
    package var active: Int
    /// Passes given in this life of the queue, those read back from PostgreSQL included.
    package var admittedTotal: Int
    package var maxActive: Int
    package var ratePerMinute: Int
    package var passSeconds: Int
    package var mode: QueueMode
    package var paused: Bool
    package var enabled: Bool
}

/// What the scripts answer about the whole queue beside each person's own place.
struct QueueSummary: Sendable, Equatable {
    var epoch: Int64
    var tick: Int64
    var prefix: Int64
    var waiting: Int
    var lobby: Int
    var active: Int
    var admittedTotal: Int
    var pace: QueuePace
}

/// A person's own place as the scripts know it.
enum QueuePlace: Sendable, Equatable {
    case none
    case lobby
    case waiting(qseq: Int64, ahead: Int)
    case admitted(expiresAt: ServerTime)
    /// The place that was to be joined is used up; PostgreSQL does not know yet.
    case stale
}

extension QueuePlace {
    func standing(in event: Event, _ summary: QueueSummary) -> QueueStanding {
        switch self {
        case .none, .stale: .none
        case .lobby: .lobby(total: max(summary.lobby, 1))
        case .admitted(let expiresAt): .admitted(expiresAt: expiresAt)
        case .waiting(let qseq, let ahead):
            .waiting(
                qseq: qseq,
                position: ahead + 1,
                total: max(summary.waiting, ahead + 1),
                eta: QueueEstimate(event: event, active: summary.active, pace: summary.pace)?
                    .wait(untilPosition: ahead + 1)
            )
        }
    }
}
