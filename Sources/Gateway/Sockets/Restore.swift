import Events
import HoldfastCore
import Logging
import Presence
import Seating
import SocketIO
import WaitingRoom

// `session-restored`: a new connection finds everything as the old one left it, on whichever instance it lands.

extension SocketGateway {
    private struct Restored: Encodable, Sendable {
        struct Holds: Encodable, Sendable {
            let expiresAt: ServerTime
            let fence: Fence
        }

        @Nullable var eventId: EventID?
        @Nullable var queueEventId: EventID?
        @Nullable var seatEventId: EventID?
        var selectedSeats: [SeatID] = []
        var generalAdmission: [String: Int]?
        let lastActivity: ServerTime
        /// Nothing of the state is left: the queue was cleared, say, and no seat is held.
        var isEmpty: Bool { eventId == nil && queueEventId == nil && seatEventId == nil }
        var queue: StandingPayload?
        var holds: Holds?
        var seq: Int64?
    }

    /// What lies between the tries: a store that is full for a moment should not cost a person what they had on their
    /// screen, and what they ask for meanwhile waits no longer than this.
    private static let pauses: [Duration] = [.milliseconds(100), .milliseconds(400), .milliseconds(1_600)]

    /// Puts the socket back into its rooms, then tells the person what they have. Says nothing without live state.
    func restore(_ socket: Socket) async {
        var pauses = Self.pauses[...]
        while true {
            do {
                return try await restores.through { try await bringBack(socket) }
            } catch {
                guard let pause = pauses.popFirst(), socket.isConnected else {
                    // Nothing is lost: state, place and holds live in the stores, and the client asks for them as usual.
                    return logger.warning("restore failed", metadata: ["error": "\(error)"])
                }
                // Not all at the same moment again.
                try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
            }
        }
    }

    private func bringBack(_ socket: Socket) async throws {
        let user = socket.identity.user
        guard let state = try await presence.state(of: user) else { return }
        var restored = Restored(lastActivity: state.lastActivity)
        if let event = try await live(state.eventID) {
            try await enter(Whereabouts(place: .event, event: event.id), socket)
            announcer.entered(event, socket)
            _ = try await presence.arrive(user, in: event.id)
            rooms.mark(event.id)
            restored.eventId = event.id
        }
        if let event = try await live(state.seatEventID ?? state.queueEventID ?? state.eventID) {
            try await restoreSeats(event, inRoom: state.seatEventID == event.id, user, socket, &restored)
        }
        // Last, so that its place is as fresh as can be.
        if let event = try await live(state.queueEventID) {
            try await restoreQueue(event, user, socket, &restored)
        }
        sessionGuard.noteActivity(socket)
        if !restored.isEmpty { socket.emit("session-restored", restored) }
    }

    private func live(_ id: EventID?) async throws -> Event? {
        guard let id else { return nil }
        return try await events.event(id)
    }

    private func restoreQueue(
        _ event: Event,
        _ user: UserID,
        _ socket: Socket,
        _ restored: inout Restored
    ) async throws {
        let standing = try await waitingRoom.standing(of: user, in: event)
        guard standing.isInQueue else { return try await presence.leave(.queue, of: event.id, user: user) }
        try await enter(Whereabouts(place: .queue, event: event.id), socket, standing: standing)
        restored.queueEventId = event.id
        restored.queue = try await standings.payload(standing, of: user, in: event.id)
    }

    private func restoreSeats(
        _ event: Event,
        inRoom: Bool,
        _ user: UserID,
        _ socket: Socket,
        _ restored: inout Restored
    ) async throws {
        if inRoom, try await waitingRoom.standing(of: user, in: event).mayEnter {
            try await enter(Whereabouts(place: .seats, event: event.id), socket)
            restored.seatEventId = event.id
        }
        let selection = try await seating.selection(of: user, in: event)
        restored.selectedSeats = selection.seats
        restored.generalAdmission = StandingPlaces.counted(selection.seats)
        restored.seq = selection.seq
        if let expiresAt = selection.expiresAt, let fence = selection.fence, !selection.seats.isEmpty {
            restored.holds = Restored.Holds(expiresAt: expiresAt, fence: fence)
            restored.seatEventId = event.id
        }
    }
}
