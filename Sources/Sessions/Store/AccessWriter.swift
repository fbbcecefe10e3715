import AsyncAlgorithms
import HoldfastCore
package import Logging
import ServiceLifecycle

/// Writes accesses that no later request took along, so that "last used" is never more than some seconds behind and
/// nothing that was counted is lost: not when a device falls silent, not at a logout on another instance, not when this
/// instance leaves.
package struct AccessWriter: Service {
    private let sessions: Sessions
    private let logger: Logger

    package init(sessions: Sessions, logger: Logger) {
        self.sessions = sessions
        self.logger = logger
    }

    package func run() async {
        for await _ in AsyncTimerSequence(interval: .seconds(1), clock: .continuous).cancelOnGracefulShutdown() {
            await write(waitingSince: .now - AccessTally.interval)
        }
        await write(waitingSince: .now)
    }

    private func write(waitingSince instant: ContinuousClock.Instant) async {
        do {
            try await sessions.writeAccesses(waitingSince: instant)
        } catch {
            logger.debug("accesses not written yet", metadata: ["error": "\(error)"])
        }
    }
}

extension Sessions {
    /// Writes what has waited that long: into the session, or into PostgreSQL if it has ended.
    package func writeAccesses(waitingSince instant: ContinuousClock.Instant) async throws {
        let waiting = tally.take(since: instant)
        guard !waiting.isEmpty else { return }
        let touches: [SessionStore.Touch]
        do {
            touches = try await store.count(waiting)
        } catch {
            for entry in waiting { tally.giveBack(entry.count, for: entry.handle, of: entry.user) }
            throw error
        }
        var ended: [(SessionHandle, Int, ServerTime)] = []
        for (entry, touch) in zip(waiting, touches) {
            if case .alive(let touched) = touch {
                // Another instance wrote within the last seconds: wait for the next turn.
                if !touched.counted { tally.giveBack(entry.count, for: entry.handle, of: entry.user) }
            } else {
                ended.append((entry.handle, entry.count, .now))
            }
        }
        try await families.keep(ended)
    }
}
