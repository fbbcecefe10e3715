import Events
import HoldfastCore
import Presence
import SocketIO

// `join-event`, `leave-event`: the room of everybody who looks at an event.

extension SocketGateway {
    private struct Joined: Encodable, Sendable {
        let ok = true
        let eventId: EventID
        let userCount: Int
    }

    func addRoomEvents() {
        answer("join-event", EventReference.self) { socket, payload in
            let user = socket.identity.user
            let event = try await events.existing(payload.eventId)
            try await enter(Whereabouts(place: .event, event: event.id), socket)
            announcer.entered(event, socket)
            let count = try await presence.arrive(user, in: event.id)
            rooms.mark(event.id)
            return Joined(eventId: event.id, userCount: count)
        }
        answer("leave-event", EventReference.self, .exempt) { socket, payload in
            let user = socket.identity.user
            let event = try await events.existing(payload.eventId)
            let whereabouts = Whereabouts(place: .event, event: event.id)
            await leave(whereabouts, socket)
            guard !sockets.has(user, in: whereabouts) else {
                return Joined(eventId: event.id, userCount: try await presence.occupancy(of: event.id))
            }
            let count = try await presence.depart(user, from: event.id)
            rooms.mark(event.id)
            return Joined(eventId: event.id, userCount: count)
        }
    }
}
