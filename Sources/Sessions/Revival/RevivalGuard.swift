package import Logging
import Metrics
package import Redis
import ServiceLifecycle

/// Sees to it that a Redis that went back in time brings no ended session with it.
///
/// One that comes back from an old file, or a replica that was promoted without the last writes, has sessions that were
/// ended since. PostgreSQL knows them: whoever ends a session writes that down first. So as soon as Redis serves from
/// another history, no session counts on this instance (503), until those that ended have been ended again.
///
/// Makes itself heard of by Redis when it is made, which has to be before the client runs.
package struct RevivalGuard: Service {
    private let sessions: Sessions
    private let redis: RedisClient
    private let logger: Logger
    private let looks: AsyncStream<Void>
    private let ended = Counter(label: "holdfast_sessions_ended_again_total")

    private static let pause = Duration.milliseconds(100)

    package init(sessions: Sessions, redis: RedisClient, logger: Logger) {
        self.sessions = sessions
        self.redis = redis
        self.logger = logger
        // One pending look is enough: it looks at everything.
        let (looks, look) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.looks = looks
        let history = sessions.history
        redis.onReplicationChange {
            history.changed()
            look.yield()
        }
        // Redis may have gone back in time while no instance ran.
        history.changed()
        look.yield()
    }

    package func run() async {
        await cancelWhenGracefulShutdown {
            for await _ in self.looks { await self.compareUntilDone() }
        }
    }

    private func compareUntilDone() async {
        while !Task.isCancelled, sessions.history.uncompared != nil {
            do {
                // Connects to every server of a cluster, so that none is met for the first time by somebody's request.
                _ = try? await redis.replications()
                guard let number = sessions.history.uncompared else { return }
                let count = try await sessions.endAgain()
                sessions.history.compared(number)
                guard count > 0 else { continue }
                ended.increment(by: Int64(count))
                logger.notice("ended sessions came back with Redis", metadata: ["sessions": "\(count)"])
            } catch {
                logger.debug("sessions not compared", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: Self.pause)
            }
        }
    }
}
