import AsyncAlgorithms
package import Logging
import ServiceLifecycle

/// Removes refresh families past their end, so that their table grows with the people and not with their sign-ins.
///
/// Every instance does it, each at its own moments; rows that another is removing are passed over.
package struct RefreshCleaner: Service {
    private let sessions: Sessions
    private let logger: Logger

    package init(sessions: Sessions, logger: Logger) {
        self.sessions = sessions
        self.logger = logger
    }

    package func run() async {
        let period = Duration.seconds(Int.random(in: 240...360))
        for await _ in AsyncTimerSequence(interval: period, clock: .continuous).cancelOnGracefulShutdown() {
            do {
                // A full batch means that more are waiting.
                while try await sessions.cleanUp() == RefreshFamilies.cleaningBatch, !Task.isShuttingDownGracefully {}
            } catch {
                logger.debug("refresh families not removed", metadata: ["error": "\(error)"])
            }
        }
    }
}
