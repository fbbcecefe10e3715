import AsyncAlgorithms
import HoldfastCore
import Logging
import Presence
import ServiceLifecycle
import Sessions
import SocketIO
import Synchronization

/// Ends this instance's sockets when the sign-in session behind them ends, within a second whatever ended it.
///
/// Pub/Sub says at once that a session was ended, but may lose the message; and nobody says that one ran out. So twice
/// a second the guard asks Redis about the sessions that should have run out by now, and every five seconds about all.
final class SessionGuard: Service {
    private struct Check {
        var sessionEnd: ContinuousClock.Instant
        var nextCheck: ContinuousClock.Instant
    }

    private let sockets: LocalSockets
    private let sessions: Sessions
    private let presence: Presence
    private let refreshThreshold: Duration
    private let logger: Logger
    /// By socket id; as many as there are sockets.
    private let checks = Mutex<[String: Check]>([:])
    /// Sockets that did something since the last look, by id; as many as there are sockets.
    private let active = Mutex<Set<String>>([])

    private static let period = Duration.milliseconds(500)
    private static let fullCheck = Duration.seconds(5)

    init(
        sockets: LocalSockets,
        sessions: Sessions,
        presence: Presence,
        refreshThreshold: Duration,
        logger: Logger
    ) {
        self.sockets = sockets
        self.sessions = sessions
        self.presence = presence
        self.refreshThreshold = refreshThreshold
        self.logger = logger
    }

    /// The person did something over this socket: their session slides on, as with a request.
    func noteActivity(_ socket: Socket) {
        _ = active.withLock { $0.insert(socket.id) }
    }

    /// A message said that the session ended.
    func ended(_ message: SessionEnded) {
        for socket in sockets.sockets(of: message.user) where socket.identity.session == message.handle {
            close(socket, message.reason)
        }
    }

    /// Messages may have been missed: look at every session at the next turn.
    func checkAllSoon() {
        checks.withLock { $0 = [:] }
    }

    /// The socket speaks for another session from now on, which may have ended while it was looked at.
    func checkSoon(_ socket: Socket) {
        checks.withLock { $0[socket.id] = nil }
    }

    func run() async {
        for await _ in AsyncTimerSequence(interval: Self.period, clock: .continuous).cancelOnGracefulShutdown() {
            do {
                try await look()
            } catch {
                // A store that is away ends no session; the next turn asks again.
                logger.debug("session check delayed", metadata: ["error": "\(error)"])
            }
        }
    }

    private func look() async throws {
        let all = sockets.all
        let now = ContinuousClock.now
        let busy = active.withLock { active in
            defer { active = [] }
            return active
        }
        let due = checks.withLock { checks in
            let ids = Set(all.map(\.id))
            checks = checks.filter { ids.contains($0.key) }
            return all.filter { socket in
                guard let check = checks[socket.id] else { return true }
                if check.nextCheck <= now || check.sessionEnd <= now { return true }
                // With a session shorter than a full check's wait, activity has to be told before it runs out.
                return busy.contains(socket.id) && check.sessionEnd - now < refreshThreshold
            }
        }
        try await presence.touch(Set(all.lazy.filter { busy.contains($0.id) }.map { $0.identity.user }))
        guard !due.isEmpty else { return }
        // By Redis' clock, which ends them, and from before the question: none is looked for too late.
        let lives = try await sessions.timeLeft(of: due.map { ($0.identity.user, $0.identity.session) })
        for (socket, life) in zip(due, lives) {
            guard var life else {
                close(socket, .sessionEnded)
                continue
            }
            if busy.contains(socket.id), life < refreshThreshold {
                life = try await sessions.extend(socket.identity.session, of: socket.identity.user)?.timeLeft ?? life
            }
            checks.withLock { $0[socket.id] = Check(sessionEnd: now + life, nextCheck: now + Self.fullCheck) }
        }
    }

    private func close(_ socket: Socket, _ reason: SessionEndReason) {
        if reason != .logout {
            socket.emit("force-logout", ForceLogoutPayload(reason: reason, message: reason.message))
        }
        socket.disconnect(close: true)
    }
}

private struct ForceLogoutPayload: Encodable, Sendable {
    let reason: SessionEndReason
    let message: String
}
