import AsyncAlgorithms
import Logging
import Metrics
import ServiceLifecycle

/// Says in the log when a store goes away and when it is back, also while nobody asks for anything.
struct StoreWatch: Service {
    let stores: Stores
    let logger: Logger
    private let postgresIsUp = Gauge(label: "holdfast_store_up", dimensions: [("store", "postgresql")])
    private let redisIsUp = Gauge(label: "holdfast_store_up", dimensions: [("store", "redis")])

    init(stores: Stores, logger: Logger) {
        self.stores = stores
        self.logger = logger
    }

    private static let period = Duration.seconds(2)

    func run() async {
        // The first look is at once: whoever starts the service wants to know what it waits for.
        var known = await look(nil)
        for await _ in AsyncTimerSequence(interval: Self.period, clock: .continuous).cancelOnGracefulShutdown() {
            known = await look(known)
        }
    }

    private func look(_ known: Stores.Report?) async -> Stores.Report {
        let report = await stores.report()
        postgresIsUp.record(report.postgresql.status == .ok ? 1 : 0)
        redisIsUp.record(report.redis.status == .ok ? 1 : 0)
        tell("PostgreSQL", known?.postgresql, report.postgresql, "check DATABASE_URL")
        tell("Redis", known?.redis, report.redis, "check REDIS_URL")
        return report
    }

    private func tell(_ name: String, _ before: Stores.Store?, _ now: Stores.Store, _ advice: String) {
        guard before?.status != now.status else { return }
        switch now.status {
        case .ok where before == nil: break
        case .ok: logger.notice("\(name) is back")
        case .down: logger.error("\(name) does not answer; not ready until it does (\(advice))")
        case .notMigrated: logger.error("\(name) has no tables; not ready until 'holdfast migrate' has run")
        }
    }
}
