package import Events

/// How many were let in, in how much time of letting in. Old times count less: they fade within half a minute or so.
package struct QueuePace: Sendable, Equatable {
    package var admittedThousandths = 0
    /// Only time in which somebody waited, and the queue let people in.
    package var milliseconds = 0

    package init(admittedThousandths: Int = 0, milliseconds: Int = 0) {
        self.admittedThousandths = admittedThousandths
        self.milliseconds = milliseconds
    }

    /// Shorter than this nothing was measured.
    static let leastMs = 5_000

    var admitted: Double { Double(admittedThousandths) / 1_000 }

    /// nil until enough was seen to say anything: some seconds, and somebody let in.
    var perSecond: Double? {
        guard milliseconds >= Self.leastMs, admitted >= 1 else { return nil }
        return admitted / (Double(milliseconds) / 1_000)
    }
}

/// How long a person still waits: a range, and one number within it.
///
/// The rules bound the wait from below: nobody is let in faster than the rate. From above it is bounded by passes: each
/// ends after its time, so the people ahead need no longer than that many lives of passes, if all of them come in and
/// stay to the end. Between the two, the pace at which people were really let in of late decides, the more narrowly the
/// more were counted: of n arrivals at random, the count is off by about √n.
package struct QueueEstimate: Sendable, Equatable {
    package struct Wait: Sendable, Equatable {
        package var seconds: Int
        package var low: Int
        package var high: Int
        /// False while nobody has been let in of late, and the range says only what the rules allow.
        package var isMeasured: Bool
    }

    let maxActive: Int
    let ratePerMinute: Int
    let passSeconds: Int
    let active: Int
    let pace: QueuePace

    /// Beyond a year a number says nothing.
    private static let longest = 31_536_000.0
    /// At least so far from the measure, both ways: the next minutes are never quite like the last ones.
    private static let leastDoubt = 0.15

    /// - Returns: nil while nobody is let in.
    package init?(event: Event, active: Int, pace: QueuePace) {
        guard event.status == .open, event.queue.enabled, !event.queue.paused else { return nil }
        maxActive = event.queue.maxActive
        ratePerMinute = event.queue.ratePerMinute
        passSeconds = event.queue.passSeconds
        self.active = active
        self.pace = pace
    }

    package func wait(untilPosition position: Int) -> Wait {
        let shortest = Double(position) * 60 / Double(max(ratePerMinute, 1))
        let withoutPlace = max(0, position - max(0, maxActive - active))
        let byTurnover = Double(withoutPlace) * Double(passSeconds) / Double(max(maxActive, 1))
        let slowest = max(shortest, byTurnover)
        guard let perSecond = pace.perSecond else {
            return Wait(
                seconds: Self.whole(slowest),
                low: Self.whole(shortest),
                high: Self.whole(slowest),
                isMeasured: false
            )
        }
        let measured = max(shortest, Double(position) / perSecond)
        let doubt = max(Self.leastDoubt, 1 / pace.admitted.squareRoot())
        return Wait(
            seconds: Self.whole(measured),
            low: Self.whole(max(shortest, measured / (1 + doubt))),
            high: Self.whole(measured * (1 + doubt)),
            isMeasured: true
        )
    }

    private static func whole(_ seconds: Double) -> Int {
        Int(min(seconds, longest).rounded(.up))
    }
}
