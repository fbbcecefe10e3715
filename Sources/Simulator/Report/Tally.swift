/// What one loop counted and measured.
package struct Tally: Sendable {
    package enum Measure: String, Sendable, CaseIterable {
        case connect, join, enter
        case seatMap = "seat map"
        case select, reserve, pay, http
        case positionLag = "position lag"
        case seatLag = "seat message spread"
        /// How late this program itself was: what it adds to everything else.
        case ownLag = "own lag"
    }

    package private(set) var times: [Histogram] = Measure.allCases.map { _ in Histogram() }
    package var requests = 0
    package var messages = 0
    package var connections = 0
    package var cuts = 0
    package var unanswered = 0
    package var gaps = 0
    /// Refusals by code.
    package var refusals: [String: Int] = [:]
    package var outcomes: [FanOutcome: Int] = [:]

    package init() {}

    package mutating func record(_ measure: Measure, _ time: Duration) {
        if let index = Measure.allCases.firstIndex(of: measure) { self.times[index].record(time) }
    }

    package func histogram(_ measure: Measure) -> Histogram {
        Measure.allCases.firstIndex(of: measure).map { self.times[$0] } ?? Histogram()
    }

    /// - Bounds: 64 codes; what the service says beyond them is counted as "other".
    package mutating func refused(_ code: String) {
        self.refusals[self.refusals.count < 64 || self.refusals[code] != nil ? code : "other", default: 0] += 1
    }

    package mutating func merge(_ other: Tally) {
        for index in self.times.indices { self.times[index].merge(other.times[index]) }
        self.requests += other.requests
        self.messages += other.messages
        self.connections += other.connections
        self.cuts += other.cuts
        self.unanswered += other.unanswered
        self.gaps += other.gaps
        self.refusals.merge(other.refusals, uniquingKeysWith: +)
        self.outcomes.merge(other.outcomes, uniquingKeysWith: +)
    }
}
