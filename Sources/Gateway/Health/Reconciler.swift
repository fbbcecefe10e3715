import HoldfastCore
import Logging
import Metrics
import Postgres
import Redis
import Seating
import ServiceLifecycle
import WaitingRoom

/// Looks for what Redis has otherwise than PostgreSQL, in seats and in queues, and has it corrected.
///
/// One instance at a time (a lease in Redis), one event after the other, page by page, with pauses: it may take minutes
/// for a large sale and is felt by nobody. What it corrects is counted; the count should stay 0 for ever.
struct Reconciler: Service {
    /// From the end of one round to the beginning of the next.
    private static let pause = Duration.seconds(60)
    /// Between events, of which there may be thousands.
    private static let breath = Duration.milliseconds(50)

    let postgres: PostgresClient
    let seating: Seating
    let waitingRoom: WaitingRoom
    let logger: Logger
    private let lease: RedisLease
    private let seats = Counter(label: "holdfast_reconciler_corrections_total", dimensions: [("of", "seats")])
    private let queue = Counter(label: "holdfast_reconciler_corrections_total", dimensions: [("of", "queue")])
    private let rounds = Counter(label: "holdfast_reconciler_rounds_total")

    init(redis: RedisClient, postgres: PostgresClient, seating: Seating, waitingRoom: WaitingRoom, logger: Logger) {
        self.postgres = postgres
        self.seating = seating
        self.waitingRoom = waitingRoom
        self.logger = logger
        lease = RedisLease(redis: redis, key: "hf:reconciler", logger: logger)
    }

    func run() async throws {
        try await lease.whileHeld {
            while !Task.isCancelled {
                // Not at once: after a loss of stores or leaders others have more to do.
                try await Task.sleep(for: Self.pause)
                await round()
            }
        }
    }

    private func round() async {
        do {
            for event in try await events() {
                await correct(seats, event) { try await seating.reconcile(event) }
                await correct(queue, event) { try await waitingRoom.reconcile(event) }
                try await Task.sleep(for: Self.breath)
            }
            rounds.increment()
        } catch {
            logger.debug("events not reconciled", metadata: ["error": "\(error)"])
        }
    }

    /// An event that cannot be looked at now keeps no other waiting.
    private func correct(_ counter: Counter, _ event: EventID, _ body: () async throws -> Int) async {
        do {
            let corrected = try await body()
            if corrected > 0 { counter.increment(by: corrected) }
        } catch {
            logger.debug("event not reconciled", metadata: ["event.id": "\(event)", "error": "\(error)"])
        }
    }

    private func events() async throws -> [EventID] {
        let rows = try await postgres.query(
            """
            SELECT e.id::text FROM events e
            WHERE e.status <> 'closed' AND (
                EXISTS (SELECT FROM seat_epochs s WHERE s.event_id = e.id)
                OR EXISTS (SELECT FROM queues q WHERE q.event_id = e.id AND e.queue_enabled)
            )
            ORDER BY e.listing DESC
            """
        )
        return try rows.compactMap { EventID(try $0.decode(String.self)) }
    }
}
