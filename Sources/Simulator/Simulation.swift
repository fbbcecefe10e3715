import AsyncHTTPClient
import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import SocketIOClient

/// A failure that keeps a play from being played: one line that says what to do.
package struct SimulationError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// A whole on-sale, played from outside: HTTP and Socket.IO and nothing else.
package struct Simulation: Sendable {
    /// What the one who plays it gives and gets.
    package struct Hooks: Sendable {
        /// Told a few times a second how it goes.
        package var progress: @Sendable (SimulationProgress) -> Void = { _ in }
        /// Asked a few times a second whether to end early.
        package var isInterrupted: @Sendable () -> Bool = { false }
        /// Pauses the sale, or opens it again; needed for a plan with a pause.
        package var setPaused: @Sendable (Bool) async throws -> Void = { _ in }
        /// Further checks when everybody has left, such as of the database.
        package var audit: @Sendable () async -> [(rule: Breach.Rule, words: String)] = { [] }

        package init() {}
    }

    package let plan: SimulationPlan
    /// Access tokens, one for each user; one more is used to watch the seat messages.
    package let tokens: [String]
    package let hooks: Hooks

    package init(_ plan: SimulationPlan, tokens: [String], hooks: Hooks) {
        self.plan = plan
        self.tokens = tokens
        self.hooks = hooks
    }

    /// Plays it to the end.
    package func run() async throws -> SimulationReport {
        try OpenFiles.require(self.plan.fans + OpenFiles.reserve)
        let loops = max(1, min(4, System.coreCount / 2))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: self.plan.http)
        do {
            let report = try await self.play(client, group)
            try await client.shutdown()
            try await group.shutdownGracefully()
            return report
        } catch {
            try? await client.shutdown()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func play(_ client: HTTPClient, _ group: MultiThreadedEventLoopGroup) async throws -> SimulationReport {
        let house = BoxOffice(client: client, plan: self.plan, token: self.tokens.first ?? "")
        let venue = try await house.venue()
        let startedAt = NIODeadline.now()
        let checks = Checks(
            venue,
            maxActive: self.plan.maxActive,
            failovers: self.plan.failovers,
            startedAt: .now
        )
        let referee = Referee(checks)
        let map = try await house.seatMap()
        referee.with { $0.log.start(map.statuses, seq: map.seq) }
        let connectors = try self.plan.servers.map { try ClientConnector($0, tls: self.plan.tls) }
        let crowd = try Crowd(self.plan, venue, tokens: self.tokens)
        let loops = Array(group.makeIterator())
        let shards = loops.enumerated().map { index, loop in
            Shard(
                crowd.fans.enumerated().filter { $0.offset % loops.count == index }.map(\.element),
                plan: self.plan,
                venue: venue,
                referee: referee,
                connectors: connectors,
                client: client,
                startedAt: startedAt,
                on: loop
            )
        }
        let watcher = Watcher(connectors[0], token: crowd.watcherToken, shards[0])
        try await watcher.start()
        for shard in shards { try await shard.eventLoop.submit { shard.start() }.get() }
        let ending = try await self.watch(shards, referee, watcher, startedAt)
        for shard in shards { try await shard.eventLoop.submit { shard.stop() }.get() }
        try await watcher.catchUp()
        try await watcher.stop()
        try await house.findOrders(referee, crowd.tokenOfUser, startedAt)
        for finding in await self.hooks.audit() {
            let moment = Moment(nanoseconds: (NIODeadline.now() - startedAt).nanoseconds)
            referee.with { $0.breach(Breach(finding.rule, fans: [], at: moment, finding.words)) }
        }
        var tally = Tally()
        for shard in shards { tally.merge(try await shard.eventLoop.submit { shard.tally }.get()) }
        let played = ending.played
        return referee.with {
            $0.finish()
            return SimulationReport(
                plan: self.plan,
                ending: ending.words,
                played: played,
                tally: tally,
                checks: $0,
                users: crowd.users
            )
        }
    }

    private func watch(
        _ shards: [Shard],
        _ referee: Referee,
        _ watcher: Watcher,
        _ startedAt: NIODeadline
    ) async throws -> (words: String, played: Duration) {
        var turn = 0
        var pause = Pause(self.plan, self.hooks, referee)
        while true {
            do { try await Task.sleep(for: .milliseconds(250)) } catch { return ("cancelled", .zero) }
            try await pause.keep { Moment(nanoseconds: (NIODeadline.now() - startedAt).nanoseconds) }
            let now = Moment(nanoseconds: (NIODeadline.now() - startedAt).nanoseconds)
            var progress = SimulationProgress(fans: self.plan.fans, at: now)
            for shard in shards { progress.add(try await shard.eventLoop.submit { shard.glance() }.get()) }
            referee.with { checks in
                checks.tick(now)
                progress.add(checks)
            }
            turn += 1
            if turn % 4 == 0 { try await watcher.askForNews() }
            self.hooks.progress(progress)
            let ending: String? =
                if progress.unfinished == 0 {
                    "everybody has left"
                } else if self.hooks.isInterrupted() {
                    "interrupted"
                } else {
                    now - .zero >= self.plan.duration ? "the time was over" : nil
                }
            if let ending {
                try await pause.end()
                return (ending, now - .zero)
            }
        }
    }
}
