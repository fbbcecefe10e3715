import Foundation

/// What a play showed, for people and for programs.
package struct SimulationReport: Encodable, Sendable {
    package struct Latency: Encodable, Sendable {
        let name: String
        let count: Int
        let p50Ms: Double
        let p90Ms: Double
        let p99Ms: Double
        let p999Ms: Double
        let maxMs: Double
    }

    /// Something that was looked for, and how often it was found.
    package struct Check: Encodable, Sendable {
        let rule: String
        let breaches: Int
    }

    package struct BreachLine: Encodable, Sendable {
        let rule: String
        let users: [String]
        let atSeconds: Double
        let evidence: String
    }

    package let eventId: String
    package let servers: Int
    package let fans: Int
    package let users: Int
    package let seed: UInt64
    package let ending: String
    package let playedSeconds: Double
    package let requests: Int
    package let requestsPerSecond: Double
    package let messages: Int
    package let messagesPerSecond: Double
    package let connections: Int
    package let networkCuts: Int
    package let unanswered: Int
    package let gapsFilledBySync: Int
    package let seatMessages: Int
    package let seatLogResets: Int
    package let failoversAnnounced: Int
    /// New lives of the seat state, each of which ended all holds.
    package let failoversSeen: Int
    /// What was found about holds in the last moments of such a life, and proves nothing.
    package let dismissed: [String: Int]
    package let sessionsRestored: Int
    package let admitted: Int
    package let mostInside: Int
    package let orders: Int
    package let ordersPaid: Int
    package let seatsPaid: Int
    package let outcomes: [String: Int]
    package let refusals: [String: Int]
    package let latencies: [Latency]
    package let checked: [Check]
    package let breaches: Int
    package let shownBreaches: [BreachLine]

    init(plan: SimulationPlan, ending: String, played: Duration, tally: Tally, checks: Checks, users: Int) {
        self.eventId = plan.eventID
        self.servers = plan.servers.count
        self.fans = plan.fans
        self.users = users
        self.seed = plan.seed
        self.ending = ending
        let seconds = max(played.inSeconds, 0.001)
        self.playedSeconds = Self.rounded(played.inSeconds)
        self.requests = tally.requests
        self.requestsPerSecond = Self.rounded(Double(tally.requests) / seconds)
        self.messages = tally.messages
        self.messagesPerSecond = Self.rounded(Double(tally.messages) / seconds)
        self.connections = tally.connections
        self.networkCuts = tally.cuts
        self.unanswered = tally.unanswered
        self.gapsFilledBySync = tally.gaps
        self.seatMessages = checks.log.messages
        self.seatLogResets = checks.log.resets
        self.failoversAnnounced = plan.failovers
        self.failoversSeen = checks.failoversSeen.ended
        self.dismissed = Dictionary(
            uniqueKeysWithValues: checks.failoversSeen.dismissed.map { ($0.key.rawValue, $0.value) }
        )
        self.sessionsRestored = checks.restored
        self.admitted = checks.queue.admitted
        self.mostInside = checks.queue.mostActive
        self.orders = checks.book.orders.count
        self.ordersPaid = checks.book.paidCount
        self.seatsPaid = checks.book.paidSeats
        self.outcomes = Dictionary(uniqueKeysWithValues: tally.outcomes.map { ($0.key.rawValue, $0.value) })
        self.refusals = tally.refusals
        self.latencies = Tally.Measure.allCases.compactMap { measure in
            let times = tally.histogram(measure)
            return times.count > 0 ? Latency(measure.rawValue, times) : nil
        }
        self.checked = Breach.Rule.allCases.filter { plan.checks($0, checks.venue) }.map { rule in
            Check(rule: rule.rawValue, breaches: checks.breachesOfRule[rule] ?? 0)
        }
        self.breaches = checks.breachCount
        self.shownBreaches = checks.breaches.map { breach in
            BreachLine(
                rule: breach.rule.rawValue,
                users: breach.fans.map { "fan \($0 + 1)" },
                atSeconds: Self.rounded(breach.at.seconds),
                evidence: breach.evidence
            )
        }
    }

    fileprivate static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }

    package func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

extension SimulationReport.Latency {
    init(_ name: String, _ times: Histogram) {
        func milliseconds(_ share: Double) -> Double {
            SimulationReport.rounded(times.percentile(share).inSeconds * 1_000)
        }
        self.name = name
        self.count = times.count
        self.p50Ms = milliseconds(0.5)
        self.p90Ms = milliseconds(0.9)
        self.p99Ms = milliseconds(0.99)
        self.p999Ms = milliseconds(0.999)
        self.maxMs = SimulationReport.rounded(times.longest.inSeconds * 1_000)
    }
}

extension SimulationReport {
    /// For a person to read.
    package var text: String {
        var lines = [
            "\(fans) fans, \(users) users, \(servers) server\(servers == 1 ? "" : "s"), seed \(seed): \(ending) "
                + "after \(playedSeconds) s",
            "",
            "  requests   \(requests) (\(Int(requestsPerSecond))/s), \(unanswered) unanswered",
            "  messages   \(messages) (\(Int(messagesPerSecond))/s)",
            "  sockets    \(connections) connected, \(networkCuts) cut off, \(sessionsRestored) restored",
            "  queue      \(admitted) let in, at most \(mostInside) inside at a time",
            "  seats      \(seatMessages) changes told, \(gapsFilledBySync) gaps filled by sync",
            failoversAnnounced == 0
                ? nil
                : "  failovers  \(failoversAnnounced) announced, \(failoversSeen) ended all holds; dismissed, of the "
                    + "moments before: \(Self.list(dismissed))",
            "  orders     \(orders) made, \(ordersPaid) paid for \(seatsPaid) seats",
            "  fans       " + Self.list(outcomes),
            "  refusals   " + Self.list(refusals),
            "",
            Self.row("latency in ms", ["count", "p50", "p90", "p99", "p99.9", "max"]),
        ].compactMap { $0 }
        for latency in latencies {
            let numbers = [latency.p50Ms, latency.p90Ms, latency.p99Ms, latency.p999Ms, latency.maxMs]
            lines.append(Self.row(latency.name, ["\(latency.count)"] + numbers.map { String(format: "%.1f", $0) }))
        }
        lines.append("")
        lines.append(breaches == 0 ? "No promise was broken. Looked for, and not found:" : "\(breaches) BREACHES")
        if breaches == 0 { lines += checked.map { "  - \($0.rule)" } }
        for breach in shownBreaches {
            let users = breach.users.isEmpty ? "" : " (\(breach.users.joined(separator: ", ")))"
            lines.append("  \(breach.atSeconds) s  \(breach.rule)\(users): \(breach.evidence)")
        }
        if shownBreaches.count < breaches { lines.append("  … and \(breaches - shownBreaches.count) more") }
        return lines.joined(separator: "\n")
    }

    private static func list(_ counts: [String: Int]) -> String {
        if counts.isEmpty { return "none" }
        return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
            .joined(separator: ", ")
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        let padded = cells.map { String(repeating: " ", count: max(0, 10 - $0.count)) + $0 }
        return "  " + name.padding(toLength: 20, withPad: " ", startingAt: 0) + padded.joined()
    }
}
