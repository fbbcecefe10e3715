import Events
import HoldfastCore
import Presence
import Seating
import SocketIO
import WaitingRoom

// The seat map over a socket: look, choose, extend, catch up.

extension SocketGateway {
    private struct SyncRequest: Decodable, Sendable {
        let eventId: EventID
        let seq: Int64
    }
    private struct SyncPayload: Encodable, Sendable {
        struct Change: Encodable, Sendable {
            let seq: Int64
            let type: String
            let seatIds: [SeatID]
        }

        let ok = true
        let seq: Int64?
        let changes: [Change]?
        let reset: Bool?
    }

    /// Who holds seats is choosing seats, whether they said so or not: they hear when the hold ends, and a new
    /// connection finds the seats again.
    private func chosen(
        _ outcome: SelectionOutcome,
        wanted: [SeatID]? = nil,
        _ socket: Socket,
        _ event: Event
    ) async throws -> RawJSON {
        let selection = try outcome.granted(in: event)
        if !selection.seats.isEmpty {
            let isNew = !sockets.has(socket.identity.user, in: Whereabouts(place: .seats, event: event.id))
            try await enter(Whereabouts(place: .seats, event: event.id), socket)
            if isNew { try await presence.enter(.seats, of: event.id, user: socket.identity.user) }
        }
        return SelectionPayload(selection, wanted: wanted).json
    }

    func addSeatEvents() {
        answer("join-seat-selection", EventReference.self, .sale) { socket, payload in
            let user = socket.identity.user
            let event = try await events.existing(payload.eventId)
            let standing = try await waitingRoom.standing(of: user, in: event)
            guard standing != .closed else {
                throw Problem(.eventNotOpen, "The sale is closed; its seats cannot be chosen any more.")
            }
            guard standing.mayEnter else { throw Problem.notAdmitted }
            try await enter(Whereabouts(place: .seats, event: event.id), socket)
            async let noted: Void = presence.enter(.seats, of: event.id, user: user)
            // Read after the subscription, so that no message falls between this answer and the first one.
            let selection = try await seating.selection(of: user, in: event)
            try await noted
            return SelectionPayload(selection)
        }
        answer("leave-seat-selection", EventReference.self, .exempt) { socket, payload in
            let user = socket.identity.user
            let event = try await events.existing(payload.eventId)
            let whereabouts = Whereabouts(place: .seats, event: event.id)
            await leave(whereabouts, socket)
            if !sockets.has(user, in: whereabouts) {
                try await presence.leave(.seats, of: event.id, user: user)
            }
            return OkPayload()
        }
        answer("seat-selection-changed", SelectionChange.self, .sale) { socket, payload in
            guard payload.seats != nil || payload.generalAdmission != nil else {
                throw Problem.invalid(.init("seats", "must list the seats wanted; none gives all back"))
            }
            let event = try await events.existing(payload.eventId)
            let outcome = try await seating.select(
                payload.seats ?? [],
                standing: payload.generalAdmission ?? [:],
                by: socket.identity.user,
                in: event,
                options: SelectionOptions(
                    alternatives: payload.alternatives ?? false,
                    request: payload.requestId,
                    connection: socket.id
                )
            )
            return try await chosen(outcome, wanted: payload.seats ?? [], socket, event)
        }
        answer("best-available", BestAvailableRequest.self, .sale) { socket, payload in
            let event = try await events.existing(payload.eventId)
            let outcome = try await seating.bestAvailable(
                payload.wish,
                options: SelectionOptions(request: payload.requestId, connection: socket.id),
                by: socket.identity.user,
                in: event
            )
            return try await chosen(outcome, socket, event)
        }
        answer("hold-extend", ExtendRequest.self, .sale) { socket, payload in
            let event = try await events.existing(payload.eventId)
            let options = SelectionOptions(request: payload.requestId, connection: socket.id)
            let outcome = try await seating.extend(by: socket.identity.user, in: event, options: options)
            return SelectionPayload(try outcome.granted())
        }
        answer("sync", SyncRequest.self, .sale) { socket, payload in
            let event = try await events.existing(payload.eventId)
            switch try await seating.changes(in: event, since: payload.seq) {
            case .reset:
                return SyncPayload(seq: nil, changes: nil, reset: true)
            case .changes(let seq, let changes):
                let list = changes.map {
                    SyncPayload.Change(seq: $0.seq, type: $0.kind.rawValue, seatIds: $0.seatIDs)
                }
                return SyncPayload(seq: seq, changes: list, reset: nil)
            }
        }
    }
}
