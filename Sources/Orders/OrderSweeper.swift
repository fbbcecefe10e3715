package import Logging
import Postgres
package import Redis
import ServiceLifecycle

/// Ends reservations whose time is over, tells Redis what it was not told, and follows up payments.
///
/// One instance at a time, every 250 ms, so that a reservation ends within a second of its time. Should two do it at
/// once, row locks keep them apart.
package struct OrderSweeper: Service {
    package static let defaultLeaseKey = "hf:orders:sweeper"
    private static let interval: Duration = .milliseconds(250)

    private let orders: Orders
    private let lease: RedisLease
    private let logger: Logger

    /// - Parameter leaseKey: another one only where several services share a Redis, as tests do.
    package init(
        orders: Orders,
        redis: RedisClient,
        logger: Logger,
        leaseKey: String = Self.defaultLeaseKey
    ) {
        self.orders = orders
        self.logger = logger
        lease = RedisLease(redis: redis, key: leaseKey, logger: logger)
    }

    package func run() async throws {
        try await lease.whileHeld { await sweepUntilCancelled() }
    }

    private func sweepUntilCancelled() async {
        let clock = ContinuousClock()
        var round = 0
        while !Task.isCancelled {
            let start = clock.now
            // Each on its own: Redis being away must not keep reservations from ending.
            await attempt("expire") { while try await orders.expireDue() >= 200, !Task.isCancelled {} }
            await attempt("outbox") { while try await orders.drainOutbox() >= Outbox.batch, !Task.isCancelled {} }
            if round.isMultiple(of: 4) { await attempt("payments") { _ = try await orders.followUpPayments() } }
            if round.isMultiple(of: 4 * 600) { await attempt("prune") { try await orders.prune() } }
            round += 1
            try? await clock.sleep(until: start + Self.interval)
        }
    }

    private func attempt(_ work: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            logger.debug("order sweep failed", metadata: ["work": "\(work)", "error": "\(error)"])
        }
    }
}

extension Orders {
    /// Forgets keys and messages too old to come again.
    func prune() async throws {
        _ = try await postgres.query(IdempotencyKeys.prune)
        // A message older than five minutes is refused by its signature.
        _ = try await postgres.query(
            "DELETE FROM processed_webhooks WHERE received_at < clock_timestamp() - interval '7 days'"
        )
    }
}
