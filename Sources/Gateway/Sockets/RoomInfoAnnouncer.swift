import AsyncAlgorithms
import HoldfastCore
import Logging
import Presence
import Redis
import ServiceLifecycle
import SocketIO
import Synchronization

/// Tells each event's room how many people are in it: at joins and leaves, at most once a second for the whole cluster.
///
/// A join only marks its event. Four times a second the marked events are tried: the instance that gets the event's
/// turn in Redis (good for one second) counts and broadcasts; the others keep their mark and try again, so the last
/// change is always told by somebody.
struct RoomInfoAnnouncer: Service {
    private let presence: Presence
    private let redis: RedisClient
    private let namespace: Namespace
    private let sockets: LocalSockets
    private let logger: Logger
    private let marked = MarkedEvents()

    private static let period = Duration.milliseconds(250)
    /// A third of the time after which somebody not mentioned counts as gone.
    private static let heartbeat = Presence.roomTTL / 3

    init(presence: Presence, redis: RedisClient, namespace: Namespace, sockets: LocalSockets, logger: Logger) {
        self.presence = presence
        self.redis = redis
        self.namespace = namespace
        self.sockets = sockets
        self.logger = logger
    }

    func mark(_ event: EventID) { marked.insert(event) }

    func run() async {
        let clock = ContinuousClock()
        var nextHeartbeat = clock.now + Self.heartbeat
        for await _ in AsyncTimerSequence(interval: Self.period, clock: clock).cancelOnGracefulShutdown() {
            for event in marked.take() { await announce(event) }
            if clock.now >= nextHeartbeat {
                nextHeartbeat = clock.now + Self.heartbeat
                await repeatWhoIsHere()
            }
        }
    }

    private func announce(_ event: EventID) async {
        do {
            let turn = try await redis.send(
                RedisCommand("SET", RedisArgument(turnKey(event)), "1", "NX", "PX", "1000")
            )
            guard turn != .null else { return marked.insert(event) }
            let count = try await presence.occupancy(of: event)
            let room = Whereabouts(place: .event, event: event).room
            namespace.to(room).emit("room-info", RoomInfoPayload(eventId: event, userCount: count))
        } catch {
            marked.insert(event)
            logger.debug("room-info delayed", metadata: ["event.id": "\(event)", "error": "\(error)"])
        }
    }

    private func repeatWhoIsHere() async {
        for (event, users) in sockets.users(in: .event) {
            do {
                try await presence.stillHere(users, in: event)
            } catch {
                logger.debug("room heartbeat failed", metadata: ["event.id": "\(event)", "error": "\(error)"])
            }
        }
    }

    private func turnKey(_ event: EventID) -> String { PresenceKeys.announcement(of: event) }
}

private struct RoomInfoPayload: Encodable, Sendable {
    let eventId: EventID
    let userCount: Int
}

/// At most one mark per event, so it is bounded by the events on sale.
private final class MarkedEvents: Sendable {
    private let events = Mutex<Set<EventID>>([])

    func insert(_ event: EventID) { events.withLock { _ = $0.insert(event) } }

    func take() -> Set<EventID> {
        events.withLock { events in
            defer { events = [] }
            return events
        }
    }
}
