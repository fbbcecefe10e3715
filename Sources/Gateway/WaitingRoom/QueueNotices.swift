import HoldfastCore
import Logging
import SocketIO
import WaitingRoom

/// Tells people what became of their place in the queue: each only their own.
struct QueueNotices: Sendable {
    let sockets: LocalSockets
    let passes: EntryPasses
    let logger: Logger

    private struct Position: Encodable, Sendable {
        let eventId: EventID
        @Nullable var position: Int?
        @Nullable var ahead: Int?
        let totalWaiting: Int
        let queueSize: Int
        @Nullable var etaSeconds: Int?
        let etaRange: EtaRange?
    }
    private struct Allowed: Encodable, Sendable {
        let eventId: EventID
        let entryToken: String
        let expiresAt: ServerTime
        let message = "It is your turn. Choose your seats."
    }
    private struct Ended: Encodable, Sendable {
        let eventId: EventID
        let message: String
    }

    /// - Returns: the admissions that could not be said. After the first the others are not tried: each would wait for
    ///   the store as long.
    func deliver(_ notices: [QueueNotice], of event: EventID, by feed: QueueFeed) async -> [QueueNotice] {
        var unsaid: [QueueNotice] = []
        for notice in notices {
            switch notice {
            case .position(let user, _, _, _, _):
                let listeners = sockets.sockets(of: user)
                guard !listeners.isEmpty, let prepared = prepare(notice, event) else { continue }
                for socket in listeners {
                    socket.emit {
                        guard let current = feed.current(notice, in: event) else { return nil }
                        return current == notice ? prepared : prepare(current, event)
                    }
                }
            case .lobby(let user, let total):
                emit(user, "queue-updated", standing(event, nil, total, nil))
            case .admitted(let user, let expiresAt):
                let isSaid = unsaid.isEmpty ? await allow(user, event, expiresAt) : false
                if !isSaid { unsaid.append(notice) }
            case .expired(let user):
                let message = "Your time to choose seats is over. Join the queue again for another turn."
                emit(user, "queue-entry-expired", Ended(eventId: event, message: message))
            case .cleared(let user):
                let message = "The box office cleared the queue. Join again to take a new place."
                emit(user, "queue-cleared", Ended(eventId: event, message: message))
            case .removed:
                break
            }
        }
        return unsaid
    }

    private func prepare(_ notice: QueueNotice, _ event: EventID) -> PreparedEvent? {
        guard case .position(_, _, let position, let total, let eta) = notice else { return nil }
        return PreparedEvent("queue-updated", standing(event, position, total, eta))
    }

    private func standing(
        _ event: EventID,
        _ position: Int?,
        _ total: Int,
        _ eta: QueueEstimate.Wait?
    ) -> Position {
        Position(
            eventId: event,
            position: position,
            ahead: position.map { $0 - 1 },
            totalWaiting: total,
            queueSize: total,
            etaSeconds: eta?.seconds,
            etaRange: eta.map { EtaRange($0) }
        )
    }

    /// - Returns: false if the pass could not be signed.
    private func allow(_ user: UserID, _ event: EventID, _ expiresAt: ServerTime) async -> Bool {
        let listeners = sockets.sockets(of: user)
        guard !listeners.isEmpty else { return true }
        do {
            let token = try await passes.token(for: user, in: event, expiresAt: expiresAt)
            let payload = Allowed(eventId: event, entryToken: token, expiresAt: expiresAt)
            for socket in listeners { socket.emit("queue-entry-allowed", payload) }
            return true
        } catch {
            // The admission stands, and is said as soon as the store answers.
            logger.error("entry pass not signed", metadata: ["event.id": "\(event)", "error": "\(error)"])
            return false
        }
    }

    private func emit(_ user: UserID, _ name: String, _ payload: some Encodable & Sendable) {
        for socket in sockets.sockets(of: user) { socket.emit(name, payload) }
    }
}
