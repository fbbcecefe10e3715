import Metrics

/// What is counted about seats, made once.
struct SeatingMetrics: Sendable {
    private let holds = Gauge(label: "holdfast_seat_holds")
    private let actions = Dictionary(
        uniqueKeysWithValues: SeatReply.Status.allCases.map {
            ($0, Counter(label: "holdfast_seat_actions_total", dimensions: [("outcome", $0.rawValue.lowercased())]))
        }
    )

    /// Somebody wished for seats.
    func asked(_ status: SeatReply.Status) { actions[status]?.increment() }

    /// How many people hold seats, over all events.
    func held(_ count: Int64) { holds.record(count) }
}
