import HoldfastCore
package import Logging
package import Postgres
package import Redis
import ServiceLifecycle

/// Ends holds that nobody asks about, and warns of those that end soon.
///
/// One instance at a time does it, every 250 ms, for every event whose seats have a state. So a hold is announced as
/// released well within a second of its end, even if the instance that granted it is dead.
package struct HoldSweeper: Service {
    private static let interval: Duration = .milliseconds(250)
    /// How old the list of events may be. A new event is swept before its first hold, of a second or more, ends.
    private static let listLifetime: Duration = .milliseconds(500)
    /// Holds ended per event in one script, so that no run is long; a full batch is followed by another at once.
    private static let batch = 500
    /// Far fewer than a Redis connection takes commands at once.
    private static let eventsPerPipeline = 64

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
                    round.list(events)
                    listedAt = start
                }
                while try await sweep(&round) {}
            } catch {
                logger.debug("sweep failed", metadata: ["error": "\(error)"])
            }
            try? await clock.sleep(until: start + Self.interval)
        }
    }

    /// Sweeps every listed event once. Returns whether some had more due than one script takes.
    private func sweep(_ round: inout SweepRound) async throws -> Bool {
        guard !round.events.isEmpty else { return false }
        var isBehind = false
        var holds: Int64 = 0
        let events = round.events
        for start in stride(from: 0, to: events.count, by: Self.eventsPerPipeline) {
            let replies = try await seating.state.runEach(
                SeatScript.sweep,
                Array(events[start..<min(start + Self.eventsPerPipeline, events.count)]),
                [RedisArgument(Self.batch)]
            )
            for (event, reply) in replies {
                let (ended, left) = (try reply.integer(2), try reply.integer(4))
                if ended == Self.batch { isBehind = true }
                holds += left
                round.swept(event, holdsLeft: left)
            }
        }
        seating.metrics.held(holds)
        return isBehind && !Task.isCancelled
    }

    private func events() async throws -> [(id: EventID, isClosed: Bool)] {
        let rows = try await postgres.query(
            """
            SELECT events.id::text, events.status = 'closed' FROM events
            JOIN seat_epochs ON seat_epochs.event_id = events.id
            """
        )
        return try rows.compactMap { row in
            let (id, isClosed) = try row.decode((String, Bool).self)
            return EventID(id).map { ($0, isClosed) }
        }
    }
}

/// Which events to sweep: all with a seat state, but of the closed ones only those that may still have holds.
///
/// A closed event takes no new holds, so once it was found without any it needs no more looks.
struct SweepRound {
    private(set) var events: [EventID] = []
    private var closed: Set<EventID> = []
    private var finished: Set<EventID> = []

    mutating func list(_ listed: [(id: EventID, isClosed: Bool)]) {
        // An instance may grant for half a second after the closing, from its cached event; so an event counts as
        // closed from its second listing.
        let closedNow = Set(listed.filter(\.isClosed).map(\.id))
        finished.formIntersection(closedNow)
        events = listed.map(\.id).filter { !finished.contains($0) }
        closed = closedNow.intersection(closedBefore)
        closedBefore = closedNow
    }

    private var closedBefore: Set<EventID> = []

    mutating func swept(_ event: EventID, holdsLeft: Int64) {
        if holdsLeft == 0, closed.contains(event) { finished.insert(event) }
    }
}
