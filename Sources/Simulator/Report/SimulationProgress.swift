/// How a play stands, for the line that is shown while it goes on.
package struct SimulationProgress: Sendable {
    package let fans: Int
    package let at: Moment
    package private(set) var unfinished = 0
    package private(set) var online = 0
    package private(set) var requests = 0
    package private(set) var messages = 0
    package private(set) var waiting = 0
    package private(set) var admitted = 0
    package private(set) var soldSeats = 0
    package private(set) var breaches = 0

    init(fans: Int, at: Moment) {
        self.fans = fans
        self.at = at
    }

    mutating func add(_ glance: Shard.Glance) {
        self.unfinished += glance.unfinished
        self.online += glance.online
        self.requests += glance.tally.requests
        self.messages += glance.tally.messages
    }

    mutating func add(_ checks: Checks) {
        self.waiting = checks.queue.waiting
        self.admitted = checks.queue.admitted
        self.soldSeats = checks.book.paidSeats
        self.breaches = checks.breachCount
    }

    /// One line: a bar and the figures that say whether it goes well.
    package var line: String {
        let done = self.fans - self.unfinished
        let width = 20
        let filled = self.fans > 0 ? width * done / self.fans : width
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        let rate = self.at > .zero ? Int(Double(self.requests) / self.at.seconds) : 0
        return "[\(bar)] \(done)/\(self.fans) done  \(Int(self.at.seconds)) s  \(self.online) online  "
            + "\(self.waiting) waiting  \(self.admitted) let in  \(self.soldSeats) seats sold  "
            + "\(rate) requests/s  \(self.breaches) breaches"
    }
}
