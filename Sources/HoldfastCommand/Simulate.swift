import Accounts
import ArgumentParser
import Events
import Foundation
import Gateway
import HoldfastCore
import Postgres
import Sessions
import Simulator
import SocketIOClient
import Synchronization
import UnixSignals

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plays a whole on-sale with many fans against a running service, and checks every promise.",
        discussion: """
            Fans sign in, wait in the queue, look at the seat map, choose, collide, choose again and pay. Some lose the
            network, reload the page, leave their basket or are bots. All they send and hear is checked: no seat granted or
            sold twice, nobody overtaken, no place got worse, nothing lost. Each breach is printed with those it befell.

              holdfast loadtest prepare --users 500 --tokens tokens
              holdfast simulate --event ID --fans 500 --tokens tokens

            Without --tokens the users are made as above, which needs the service's own DATABASE_URL, REDIS_URL and
            HOLDFAST_SECRETS; with them the database is checked too when all is over. Several --url are several instances:
            who loses the network comes back on another one. The event must be open, or have a lobby that waits for its
            opening: then the draw is verified too. Its seats stay sold.

            Latencies count from the moment a fan would have acted, not from when the request left. Ctrl-C ends the play
            and reports. Exit status 0 if no promise was broken, 1 if one was, 64 for bad usage.
            """
    )

    @Option(help: "The event's id.")
    var event: String

    @Option(help: "How many fans, 1 to 100000.")
    var fans: Int

    @Option(help: "An instance of the service; may be given several times [http://127.0.0.1:8080].")
    var url: [String] = []

    @Option(help: "A file with one access token a line, as 'loadtest prepare' writes it [made if possible].")
    var tokens: String?

    @Option(help: "The same seed makes the same fans.")
    var seed: UInt64 = 1

    @Option(help: "Seconds over which fans arrive, most of them early.")
    var arriveSeconds = 10.0

    @Option(help: "Median of the seconds that a fan thinks before doing something.")
    var thinkSeconds = 2.0

    @Option(help: "Seconds after which the play ends at the latest.")
    var duration = 300.0

    @Option(help: "Share of bots, 0 to 1.")
    var bots = 0.05

    @Option(help: "Share of fans whose network goes now and then, 0 to 1.")
    var dropOuts = 0.2

    @Option(help: "Share of fans who leave seats in their basket, 0 to 1.")
    var abandon = 0.05

    @Option(help: "Share of people with the page open in a second tab, 0 to 1.")
    var secondTabs = 0.05

    @Option(help: "Share of payments that are declined at first, 0 to 1.")
    var declined = 0.1

    @Option(help: "Share of payments that take three seconds, 0 to 1.")
    var slow = 0.05

    @Option(help: "Share of payments that the provider never answers, 0 to 1.")
    var unanswered = 0.01

    @Option(help: "Pause the sale after so many seconds; needs DATABASE_URL, as without --tokens [never].")
    var pauseAt: Double?

    @Option(help: "How long it stays paused, in seconds.")
    var pauseSeconds = 15.0

    @Option(help: "How many failovers of Redis the play will meet: each may end all holds once [none].")
    var failovers = 0

    @Option(help: "Certificates (PEM) to trust for https, in place of the system's.")
    var ca: String?

    @Option(help: "The event's maxActive, to check that no more are inside [read from the database if there is one].")
    var maxActive: Int?

    @Option(help: "Write the report there too, as JSON.")
    var json: String?

    func validate() throws {
        guard EventID(event) != nil else { throw ValidationError("'\(event)' is not an event id") }
        guard (1...100_000).contains(fans) else { throw ValidationError("--fans must be from 1 to 100000") }
        for address in url where ServerAddress(address) == nil {
            throw ValidationError("'\(address)' is no http or https URL")
        }
        let shares = [
            ("--bots", bots), ("--drop-outs", dropOuts), ("--abandon", abandon), ("--second-tabs", secondTabs),
            ("--declined", declined), ("--slow", slow), ("--unanswered", unanswered),
        ]
        for (name, share) in shares where !(0...1).contains(share) {
            throw ValidationError("\(name) must be from 0 to 1")
        }
        guard declined + slow + unanswered <= 1 else {
            throw ValidationError("--declined, --slow and --unanswered are shares of all payments: together at most 1")
        }
        guard (0...86_400).contains(pauseAt ?? 0), (1...3_600).contains(pauseSeconds) else {
            throw ValidationError("--pause-at must be from 0 to 86400, --pause-seconds from 1 to 3600")
        }
        guard (0...100).contains(failovers) else { throw ValidationError("--failovers must be from 0 to 100") }
        if pauseAt != nil, tokens != nil {
            throw ValidationError("--pause-at pauses the sale in the database; it cannot be used with --tokens")
        }
        guard (0...3_600).contains(arriveSeconds) else {
            throw ValidationError("--arrive-seconds must be from 0 to 3600")
        }
        guard (0.001...600).contains(thinkSeconds) else {
            throw ValidationError("--think-seconds must be from 0.001 to 600")
        }
        guard (1...86_400).contains(duration) else { throw ValidationError("--duration must be from 1 to 86400") }
        if let maxActive, maxActive < 1 { throw ValidationError("--max-active must be at least 1") }
    }

    private func plan() -> SimulationPlan {
        let urls = url.isEmpty ? ["http://127.0.0.1:8080"] : url
        var plan = SimulationPlan(
            eventID: EventID(event)?.rawValue ?? event,
            servers: urls.compactMap { ServerAddress($0) },
            fans: fans
        )
        plan.seed = seed
        plan.arrival = .milliseconds(Int64(arriveSeconds * 1_000))
        plan.thinking = .microseconds(Int64(thinkSeconds * 1_000_000))
        plan.duration = .milliseconds(Int64(duration * 1_000))
        (plan.bots, plan.dropOuts, plan.abandoned) = (bots, dropOuts, abandon)
        plan.maxActive = maxActive
        plan.secondTabs = secondTabs
        (plan.declined, plan.slow, plan.unanswered) = (declined, slow, unanswered)
        plan.pause = pauseAt.map { (.milliseconds(Int64($0 * 1_000)), .milliseconds(Int64(pauseSeconds * 1_000))) }
        plan.failovers = failovers
        plan.certificates = ca
        return plan
    }

    func run() async throws {
        if let path = tokens {
            guard let text = FileManager.default.contents(atPath: path).map({ String(decoding: $0, as: UTF8.self) })
            else {
                throw CommandFailure("cannot read the tokens file '\(path)'; 'holdfast loadtest prepare' writes one")
            }
            return try await play(plan(), text.split(whereSeparator: \.isNewline).map(String.init), slices: nil)
        }
        guard try CommandContext.settings().environment != .production else {
            throw CommandFailure("refused: HOLDFAST_ENV is production; give --tokens")
        }
        let command = self
        try await CommandContext.withSlices { slices in
            let users = try await slices.accounts.createMany(prefix: "load-", count: command.fans + 1)
            let tokens = try await slices.sessions.createMany(for: users)
            var plan = command.plan()
            plan.auditsDatabase = true
            if plan.maxActive == nil, let id = EventID(command.event), let event = try await slices.events.event(id),
                event.queue.enabled
            {
                plan.maxActive = event.queue.maxActive
            }
            try await command.play(plan, tokens, slices: slices)
        }
    }

    private func play(_ plan: SimulationPlan, _ tokens: [String], slices: Slices?) async throws {
        let screen = StatusLine()
        let interrupted = Interruption()
        var hooks = Simulation.Hooks()
        hooks.progress = { screen.show($0.line, at: $0.at.seconds) }
        hooks.isInterrupted = { interrupted.hasCome }
        let draw = try await SimulatedDraw(plan, tokens)
        hooks.audit = {
            var findings = (await draw?.findings() ?? []).map { (rule: Breach.Rule.drawNotFair, words: $0) }
            if let postgres = slices?.postgres {
                let audit = SimulationAudit(postgres, plan.eventID)
                findings += (await audit.findings()).map { (rule: .database, words: $0) }
            }
            return findings
        }
        if let events = slices?.events, let id = EventID(plan.eventID) {
            hooks.setPaused = { _ = try await events.setStatus(id, $0 ? .paused : .open) }
        }
        let simulation = Simulation(plan, tokens: tokens, hooks: hooks)
        let report = try await withThrowingTaskGroup(of: SimulationReport?.self) { group in
            group.addTask {
                await interrupted.listen()
                return nil
            }
            group.addTask { try await simulation.run() }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CommandFailure("the play ended without a report")
        }
        screen.end()
        print(report.text)
        if let path = json {
            guard FileManager.default.createFile(atPath: path, contents: Data((try report.json() + "\n").utf8)) else {
                throw CommandFailure("cannot write '\(path)'")
            }
        }
        if report.breaches > 0 { throw ExitCode(1) }
    }
}

/// The first Ctrl-C ends the play, the second one the process.
private final class Interruption: Sendable {
    private let flag = Atomic(false)

    var hasCome: Bool { flag.load(ordering: .relaxed) }

    func listen() async {
        for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
            if hasCome { Foundation.exit(130) }
            flag.store(true, ordering: .relaxed)
        }
    }
}

/// One line that is written over on a terminal; elsewhere a line every few seconds. On standard error, so that the report
/// alone is on standard output.
private final class StatusLine: Sendable {
    private let isTerminal = isatty(2) == 1
    private let lastShown = Mutex(-10.0)

    func show(_ line: String, at seconds: Double) {
        if isTerminal { return write("\r\u{1B}[2K" + line) }
        let isDue = lastShown.withLock { last in
            guard seconds >= last + 5 else { return false }
            last = seconds
            return true
        }
        if isDue { write(line + "\n") }
    }

    func end() { if isTerminal { write("\n") } }

    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}
