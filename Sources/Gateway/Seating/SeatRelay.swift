import Events
import HoldfastCore
import Logging
import NIOCore
import NIOFoundationCompat
import Presence
import Redis
import Seating
import SocketIO
import Synchronization

/// Carries the messages of an event's seats from Redis to this instance's sockets in the room `seats:ID`.
///
/// The scripts publish the bytes of the wire; they are framed once and shared by every socket. The instance subscribes
/// to an event while somebody here is in its room or its seat room.
final class SeatRelay: Sendable {
    private struct Watched {
        var sequence = SeatSequence()
        var members = 0
        var subscription: Task<Void, any Error>?
    }

    private let subscriber: RedisSubscriber
    private let seating: Seating
    private let events: Events
    private let namespace: Namespace
    private let sockets: LocalSockets
    private let onMoved: @Sendable (EventID) -> Void
    private let logger: Logger
    private let watched = Mutex<[EventID: Watched]>([:])

    init(
        subscriber: RedisSubscriber,
        seating: Seating,
        events: Events,
        namespace: Namespace,
        sockets: LocalSockets,
        logger: Logger,
        onMoved: @escaping @Sendable (EventID) -> Void
    ) {
        self.subscriber = subscriber
        self.seating = seating
        self.events = events
        self.namespace = namespace
        self.sockets = sockets
        self.onMoved = onMoved
        self.logger = logger
        subscriber.onReconnect { [weak self] in self?.resubscribed() }
    }

    // MARK: Membership

    /// One more socket here watches the event. Returns once messages flow.
    func retain(_ event: EventID) async throws {
        // The task is awaited right here, by this caller and by those who come while it subscribes.
        let subscription = watched.withLock { watched in
            var entry = watched[event] ?? Watched()
            entry.members += 1
            let task = entry.subscription ?? Task { try await self.subscribe(to: event) }
            entry.subscription = task
            watched[event] = entry
            return task
        }
        do {
            try await subscription.value
        } catch {
            watched.withLock { $0[event]?.subscription = nil }
            await release(event)
            throw error
        }
    }

    func release(_ event: EventID) async {
        let isLast = watched.withLock { watched in
            guard var entry = watched[event] else { return false }
            entry.members -= 1
            watched[event] = entry.members > 0 ? entry : nil
            return entry.members <= 0
        }
        guard isLast else { return }
        await subscriber.unsubscribe(Seating.channel(event))
        // Somebody may have come in while the unsubscription was under way.
        let cameBack = watched.withLock { $0[event] != nil }
        if cameBack { try? await subscribe(to: event) }
    }

    private func subscribe(to event: EventID) async throws {
        try await subscriber.subscribe(Seating.channel(event)) { [weak self] bytes in
            self?.receive(bytes, event)
        }
    }

    // MARK: Messages

    private func receive(_ bytes: ByteBuffer, _ event: EventID) {
        switch SeatMessage(bytes) {
        case .change(let kind, let seq, let payload):
            let message = SeatSequence.Message(kind: kind, seq: seq, payload: payload)
            perform(watched.withLock { $0[event]?.sequence.receive(message) ?? .none }, event)
        case .holdExpired(let user, let seats, let expiresAt):
            notify(user, "hold-expired", event, seats, expiresAt)
        case .holdExpiring(let user, let seats, let expiresAt):
            notify(user, "hold-expiring", event, seats, expiresAt)
        case .reset(let seq):
            watched.withLock { $0[event]?.sequence.restart(at: seq) }
            namespace.to(room(event)).local.emit("seats-reset", SeatsResetPayload(eventId: event, seq: seq))
        case nil:
            logger.debug("unknown seat message", metadata: ["event.id": "\(event)"])
        }
    }

    private func perform(_ action: SeatSequence.Action, _ event: EventID) {
        switch action {
        case .none:
            break
        case .relay(let messages):
            onMoved(event)
            for message in messages {
                namespace.to(room(event)).local.emit("seat-\(message.kind.rawValue)", raw: message.payload)
            }
        case .readLog(let seq):
            // Nobody awaits it: its result comes back as an event of the sequence, and there is at most one per event.
            Task { await self.readLog(of: event, after: seq) }
        }
    }

    private func readLog(of id: EventID, after seq: Int64) async {
        do {
            guard let event = try await events.event(id) else { return }
            switch try await seating.changes(in: event, since: seq) {
            case .changes(_, let changes):
                let messages = try changes.map { change in
                    let payload = SeatChangePayload(eventId: id, seatIds: change.seatIDs, seq: change.seq)
                    return SeatSequence.Message(
                        kind: change.kind,
                        seq: change.seq,
                        payload: try RawJSON(encoding: payload).bytes
                    )
                }
                for action in watched.withLock({ $0[id]?.sequence.read(messages) ?? [] }) { perform(action, id) }
            case .reset:
                let now = try await seating.snapshot(of: event).seq
                watched.withLock { $0[id]?.sequence.restart(at: now) }
                namespace.to(room(id)).local.emit("seats-reset", SeatsResetPayload(eventId: id, seq: now))
            }
        } catch {
            watched.withLock { $0[id]?.sequence.readFailed() }
            logger.warning("seat log unread", metadata: ["event.id": "\(id)", "error": "\(error)"])
        }
    }

    private func resubscribed() {
        let actions = watched.withLock { watched in
            watched.keys.map { ($0, watched[$0]?.sequence.resubscribed() ?? .none) }
        }
        for (event, action) in actions { perform(action, event) }
    }

    private func notify(_ user: UserID, _ name: String, _ event: EventID, _ seats: [SeatID], _ expiresAt: ServerTime) {
        let payload = HoldNoticePayload(eventId: event, seatIds: seats, expiresAt: expiresAt)
        for socket in sockets.sockets(of: user) { socket.emit(name, payload) }
    }

    private func room(_ event: EventID) -> String { Whereabouts(place: .seats, event: event).room }
}

struct SeatChangePayload: Encodable, Sendable {
    let eventId: EventID
    let seatIds: [SeatID]
    let seq: Int64
}

private struct SeatsResetPayload: Encodable, Sendable {
    let eventId: EventID
    let seq: Int64
}

private struct HoldNoticePayload: Encodable, Sendable {
    let eventId: EventID
    let seatIds: [SeatID]
    let expiresAt: ServerTime
}
