import Events
import HoldfastCore
import Logging
import Presence
import SocketIO
import WaitingRoom

// `join-queue`, `leave-queue`: the waiting room over a socket.

extension SocketGateway {
    func addQueueEvents() {
        answer("join-queue", EventReference.self) { socket, payload in
            let user = socket.identity.user
            let event = try await events.existing(payload.eventId)
            let standing = try await waitingRoom.join(user, event)
            if standing.isInQueue {
                try await presence.enter(.queue, of: event.id, user: user)
                try await enter(Whereabouts(place: .queue, event: event.id), socket, standing: standing)
            }
            return try await standings.payload(standing, of: user, in: event.id)
        }
        answer("leave-queue", EventReference.self, .exempt) { socket, payload in
            let user = socket.identity.user
            let event = try await events.existing(payload.eventId)
            try await waitingRoom.leave(user, event)
            for own in sockets.sockets(of: user) { await leave(Whereabouts(place: .queue, event: event.id), own) }
            try await presence.leave(.queue, of: event.id, user: user)
            return try await standings.payload(.none, of: user, in: event.id)
        }
    }

    /// People have taken a place, here or elsewhere: all their sockets here report that they are there, and show it.
    func arrived(_ users: [UserID], inQueueOf event: EventID) async {
        for socket in users.flatMap({ sockets.sockets(of: $0) }) {
            do {
                try await enter(Whereabouts(place: .queue, event: event), socket)
            } catch {
                logger.debug("socket not put into the queue", metadata: ["error": "\(error)"])
            }
        }
    }
}
