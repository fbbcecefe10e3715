import AsyncAlgorithms
import HoldfastCore
import Logging
import Metrics
import ServiceLifecycle

/// Says in the log when a store goes away and when it is back, also while nobody asks for anything; and when this
/// machine's clock is not PostgreSQL's.
struct StoreWatch: Service {
    let stores: Stores
    let logger: Logger
    private let postgresIsUp = Gauge(label: "holdfast_store_up", dimensions: [("store", "postgresql")])
    private let redisIsUp = Gauge(label: "holdfast_store_up", dimensions: [("store", "redis")])
    private let clockOffset = Gauge(label: "holdfast_clock_offset_seconds")

    init(stores: Stores, logger: Logger) {
        self.stores = stores
        self.logger = logger
    }

    private static let period = Duration.seconds(2)
    private static let clockTolerance = Duration.seconds(1)

    func run() async {
        // The first look is at once: whoever starts the service wants to know what it waits for.
        var known = await look(nil)
        var clockIsWrong = tellClock(false)
        for await _ in AsyncTimerSequence(interval: Self.period, clock: .continuous).cancelOnGracefulShutdown() {
            known = await look(known)
            clockIsWrong = tellClock(clockIsWrong)
        }
    }

    private func tellClock(_ wasWrong: Bool) -> Bool {
        let offset = SharedClock.machineIsAhead
        let seconds = Double(offset.milliseconds) / 1_000
        clockOffset.record(seconds)
        let isWrong = offset > Self.clockTolerance || offset < .zero - Self.clockTolerance
        if isWrong, !wasWrong {
            logger.warning(
                "this machine's clock is not PostgreSQL's, which is used instead",
                metadata: ["clock.offset.seconds": "\(seconds)"]
            )
        }
        return isWrong
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
