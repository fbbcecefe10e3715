package import Logging
import Postgres
import ServiceLifecycle

/// Ends reservations whose time is over, tells Redis what it was not told, and follows up payments.
///
/// One instance at a time (``SweepLease``), each kind of work in a loop of its own: neither a Redis that is away nor a
/// slow provider keeps reservations from ending within a second of their time.
package struct OrderSweeper: Service {
    package static let defaultLeaseName = "orders"
    private static let interval: Duration = .milliseconds(250)

    private let orders: Orders
    private let lease: SweepLease
    private let logger: Logger

    package init(orders: Orders, logger: Logger, leaseName: String = Self.defaultLeaseName) {
        self.orders = orders
        self.logger = logger
        lease = SweepLease(postgres: orders.postgres, name: leaseName)
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    await repeatedly("expire", every: Self.interval) {
                        while try await orders.expireDue() >= Orders.expiryBatch, !Task.isCancelled {}
                    }
                }
                group.addTask {
                    await repeatedly("outbox", every: Self.interval) {
                        while try await orders.drainOutbox() >= Outbox.batch, !Task.isCancelled {}
                    }
                }
                group.addTask {
                    await repeatedly("payments", every: .seconds(1)) { _ = try await orders.followUpPayments() }
                }
                group.addTask { await repeatedly("prune", every: .seconds(600)) { try await orders.prune() } }
            }
        }
        // Not in the cancelled task, where no statement is sent. Awaited here.
        await Task { await lease.giveBack() }.value
    }

    /// While this instance leads. A round that fails is tried again by the next.
    private func repeatedly(_ work: String, every period: Duration, _ body: () async throws -> Void) async {
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let start = clock.now
            var wait = period
            do {
                if try await lease.isHeld() { try await body() } else { wait = min(period, SweepLease.ttl / 4) }
            } catch {
                logger.debug("order sweep failed", metadata: ["work": "\(work)", "error": "\(error)"])
            }
            try? await clock.sleep(until: start + wait)
        }
    }
}

extension Orders {
    /// Forgets keys and messages too old to come again, and deliveries that are settled.
    func prune() async throws {
        _ = try await postgres.query(IdempotencyKeys.prune)
        // A message older than five minutes is refused by its signature.
        _ = try await postgres.query(
            "DELETE FROM processed_webhooks WHERE received_at < clock_timestamp() - interval '7 days'"
        )
        _ = try await postgres.query(
            """
            DELETE FROM webhook_deliveries WHERE log_id IN (
                SELECT log_id FROM webhook_deliveries
                WHERE status <> 'due' AND settled_at < clock_timestamp() - interval '30 days' LIMIT 10000
            )
            """
        )
    }
}
