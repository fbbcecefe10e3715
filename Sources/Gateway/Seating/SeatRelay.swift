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
    private let subscriber: RedisSubscriber
    private let subscriptions = SharedSubscriptions()
    private let seating: Seating
    private let events: Events
    private let namespace: Namespace
    private let sockets: LocalSockets
    private let onMoved: @Sendable (EventID) -> Void
    private let logger: Logger
    private let news: SelectionNews
    private let unread = UnreadMessages(channel: "seats")
    /// One for each event subscribed to. Messages are passed on while it is locked, so that they leave in the order of
    /// their numbers whichever thread found them; passing one on only puts it into the outboxes of sockets.
    private let sequences = Mutex<[EventID: SeatSequence]>([:])

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
        news = SelectionNews(seating: seating, events: events, sockets: sockets, logger: logger)
        subscriber.onReconnect { [weak self] in self?.resubscribed() }
    }

    // MARK: Membership

    /// One more socket here watches the event. Returns once messages flow.
    func retain(_ event: EventID) async throws {
        try await subscriptions.retain(event) {
            self.sequences.withLock { $0[event] = SeatSequence() }
            try await self.subscriber.subscribe(Seating.channel(event)) { [weak self] bytes in
                for message in SeatMessage.all(in: bytes) { self?.receive(message, event) }
            }
        } unsubscribe: {
            await self.subscriber.unsubscribe(Seating.channel(event))
            self.sequences.withLock { $0[event] = nil }
        }
    }

    func release(_ event: EventID) { subscriptions.release(event) }

    // MARK: Messages

    private func receive(_ message: SeatMessage?, _ event: EventID) {
        switch message {
        case .change(let kind, let seq, let payload, let actor):
            let message = SeatSequence.Message(kind: kind, seq: seq, payload: payload)
            step(event) { [$0.receive(message)] }
            if let actor { news.changed(by: actor, in: event) }
        case .extended(let actor):
            news.changed(by: actor, in: event)
        case .holdExpired(let user, let seats, let expiresAt, let why):
            notify(user, "hold-expired", event, seats, expiresAt, why)
        case .holdExpiring(let user, let seats, let expiresAt):
            notify(user, "hold-expiring", event, seats, expiresAt)
        case .reset(let seq):
            restart(event, at: seq)
        case nil:
            unread.passedOver(logger)
        }
    }

    private func step(_ event: EventID, _ body: (inout SeatSequence) -> [SeatSequence.Action]) {
        sequences.withLock { sequences in
            guard var sequence = sequences[event] else { return }
            let actions = body(&sequence)
            sequences[event] = sequence
            for action in actions { perform(action, event) }
        }
    }

    private func restart(_ event: EventID, at seq: Int64) {
        step(event) { sequence in
            sequence.restart(at: seq)
            namespace.to(room(event)).local.emit("seats-reset", SeatsResetPayload(eventId: event, seq: seq))
            return []
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

    /// Tries until it has the answer or nobody here needs it any more: without it no message would go out.
    private func readLog(of id: EventID, after seq: Int64) async {
        while sequences.withLock({ $0[id]?.isReading == true }) {
            do {
                return try await readLogOnce(of: id, after: seq)
            } catch {
                logger.warning("seat log unread", metadata: ["event.id": "\(id)", "error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func readLogOnce(of id: EventID, after seq: Int64) async throws {
        let event = try await events.existing(id)
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
            step(id) { $0.read(messages) }
        case .reset:
            restart(id, at: try await seating.snapshot(of: event).seq)
        }
    }

    private func resubscribed() {
        for event in sequences.withLock({ Array($0.keys) }) { step(event) { [$0.resubscribed()] } }
    }

    private func notify(
        _ user: UserID,
        _ name: String,
        _ event: EventID,
        _ seats: [SeatID],
        _ expiresAt: ServerTime,
        _ why: SeatMessage.HoldEnd? = nil
    ) {
        let payload = HoldNoticePayload(eventId: event, seatIds: seats, expiresAt: expiresAt, reason: why)
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
    /// With `hold-expired`.
    let reason: SeatMessage.HoldEnd?
}
