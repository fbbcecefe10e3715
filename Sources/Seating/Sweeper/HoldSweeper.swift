import HoldfastCore
package import Logging
package import Postgres
package import Redis
import ServiceLifecycle

/// Ends holds that nobody asks about, and warns of those that end soon.
///
/// One instance at a time does it, for every event whose seats have a state: every 250 ms where something is due, and where
/// nothing is, as soon as a hold given meanwhile could be; see ``SweepRound``. So a hold is announced as released well
/// within a second of its end, even if the instance that granted it is dead.
package struct HoldSweeper: Service {
    private static let interval: Duration = .milliseconds(250)
    /// How old the list of events may be. A new event is swept before its first hold, of a second or more, ends.
    private static let listLifetime: Duration = .milliseconds(500)
    /// Holds ended per event in one script, so that no run is long; a full batch is followed by another at once.
    private static let batch = 500
    /// Few, because Redis runs what came together before it looks at anybody else.
    private static let eventsPerPipeline = 16

    private let seating: Seating
    private let postgres: PostgresClient
    private let lease: RedisLease
    private let logger: Logger

    /// - Parameter leaseKey: another one only where several services share a Redis, as tests do.
    package init(
        seating: Seating,
        redis: RedisClient,
        postgres: PostgresClient,
        logger: Logger,
        leaseKey: String = SeatingKeys.sweeperLease
    ) {
        self.seating = seating
        self.postgres = postgres
        self.logger = logger
        lease = RedisLease(redis: redis, key: leaseKey, logger: logger)
    }

    package func run() async throws {
        try await lease.whileHeld { await sweepUntilCancelled() }
    }

    private func sweepUntilCancelled() async {
        let clock = ContinuousClock()
        // Another counts from here on.
        defer { seating.metrics.held(0) }
        var round = SweepRound()
        var listedAt: ContinuousClock.Instant?
        while !Task.isCancelled {
            let start = clock.now
            do {
                // PostgreSQL may be away: the events known so far are swept without it.
                if listedAt.map({ start - $0 >= Self.listLifetime }) ?? true,
                    let events = try? await events()
                {
                    round.list(events, now: start)
                    listedAt = start
                }
                while try await sweep(&round) {}
            } catch {
                logger.debug("sweep failed", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(until: start + Self.interval)
        }
    }

    /// Sweeps every event whose time has come. Returns whether some had more due than one script takes.
    private func sweep(_ round: inout SweepRound) async throws -> Bool {
        var isBehind = false
        let events = round.due(at: .now)
        for start in stride(from: 0, to: events.count, by: Self.eventsPerPipeline) {
            let now = ContinuousClock.now
            let replies = try await seating.state.runEach(
                SeatScript.sweep,
                Array(events[start..<min(start + Self.eventsPerPipeline, events.count)]),
                [RedisArgument(Self.batch)]
            )
            for (event, reply) in replies {
                if try reply.integer(2) == Self.batch { isBehind = true }
                let wait = try reply.integer(5)
                round.swept(
                    event,
                    holdsLeft: try reply.integer(4),
                    nextDue: wait < 0 ? nil : .milliseconds(wait),
                    now: now
                )
            }
        }
        seating.metrics.held(round.holds)
        return isBehind && !Task.isCancelled
    }

    private func events() async throws -> [SweepRound.Listed] {
        let rows = try await postgres.query(
            """
            SELECT events.id::text, events.status = 'closed', hold_seconds FROM events
            JOIN seat_epochs ON seat_epochs.event_id = events.id
            """
        )
        return try rows.compactMap { row in
            let (id, isClosed, holdSeconds) = try row.decode((String, Bool, Int).self)
            return EventID(id).map {
                SweepRound.Listed(id: $0, isClosed: isClosed, holdTime: .seconds(holdSeconds))
            }
        }
    }
}
