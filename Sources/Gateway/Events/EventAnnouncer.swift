import AsyncAlgorithms
import Events
import HoldfastCore
import Logging
import Presence
import Seating
import ServiceLifecycle
import SocketIO
import Synchronization

/// Tells this instance's members of an event's room how many seats are left, and when the sale opens, pauses, closes.
///
/// Every instance looks for itself: whoever changed the status (the box office, a command, the clock), nobody has to
/// tell it. `ticket-updated` goes out at most twice a second, and only after a seat moved.
final class EventAnnouncer: Service {
    private let events: Events
    private let seating: Seating
    private let namespace: Namespace
    private let sockets: LocalSockets
    private let logger: Logger
    /// Events whose seats moved since the last look; at most as many as are watched here.
    private let moved = Mutex<Set<EventID>>([])

    /// The status that each event's room was last told; at most as many as are watched here.
    private let told = Mutex<[EventID: EventStatus]>([:])

    private static let period = Duration.milliseconds(500)

    init(events: Events, seating: Seating, namespace: Namespace, sockets: LocalSockets, logger: Logger) {
        self.events = events
        self.seating = seating
        self.namespace = namespace
        self.sockets = sockets
        self.logger = logger
    }

    func seatsMoved(in event: EventID) { _ = moved.withLock { $0.insert(event) } }

    /// The socket is in the event's room now, and read the event before: a change in between is told to it alone.
    func entered(_ event: Event, _ socket: Socket) {
        let status = told.withLock { told in
            let status = told[event.id] ?? event.status
            told[event.id] = status
            return status
        }
        if status != event.status {
            socket.emit("event-status-changed", StatusPayload(eventId: event.id, status: status))
        }
    }

    func run() async {
        for await _ in AsyncTimerSequence(interval: Self.period, clock: .continuous).cancelOnGracefulShutdown() {
            let here = eventsHere()
            told.withLock { told in told = told.filter { here.contains($0.key) } }
            for id in here { await look(at: id) }
        }
    }

    private func eventsHere() -> [EventID] {
        namespace.localRooms().compactMap { room in
            room.hasPrefix("event:") ? EventID(String(room.dropFirst("event:".count))) : nil
        }
    }

    private func look(at id: EventID) async {
        do {
            let event = try await events.event(id)
            let status = event?.status ?? .closed  // Deleted: there is nothing to wait for.
            let room = namespace.to(Whereabouts(place: .event, event: id).room).local
            let before = told.withLock { $0.updateValue(status, forKey: id) }
            if let before, before != status {
                room.emit("event-status-changed", StatusPayload(eventId: id, status: status))
            }
            if moved.withLock({ $0.remove(id) }) != nil, let event {
                let available = try await seating.availability(of: event)
                room.emit("ticket-updated", TicketsPayload(eventId: id, available: available))
            }
        } catch {
            logger.debug("event not looked at", metadata: ["event.id": "\(id)", "error": "\(error)"])
        }
    }
}

private struct StatusPayload: Encodable, Sendable {
    let eventId: EventID
    let status: EventStatus
}

private struct TicketsPayload: Encodable, Sendable {
    let eventId: EventID
    let available: [String: Int]
}
