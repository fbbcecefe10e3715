import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import SocketIO
import SocketIOClient

// What the service says of its own accord.

extension Shard {
    private struct QueueMessage: Decodable {
        let eventId: String
        var position: Int?
        var expiresAt: ServerTime?
    }

    private struct SelectionMessage: Decodable {
        let eventId: String
        let fence: Fence?
    }

    private struct Reset: Decodable { let seq: Int64 }
    private struct Draining: Decodable { let reconnectAfterMs: Int64 }

    func heard(_ index: Int, _ name: String, _ payload: ByteBuffer) {
        switch name {
        case "seat-locked": self.heardSeats(index, .locked, payload)
        case "seat-released": self.heardSeats(index, .released, payload)
        case "seat-reserved": self.heardSeats(index, .reserved, payload)
        case "queue-updated", "queue-entry-allowed", "queue-entry-expired", "queue-cleared":
            guard let message = self.read(QueueMessage.self, payload), message.eventId == self.venue.eventID else {
                return
            }
            self.heardOfQueue(index, name, message)
        case "selection-changed":
            guard let message = self.read(SelectionMessage.self, payload), message.eventId == self.venue.eventID else {
                return
            }
            let (fan, now) = (self.fans[index].number, self.now)
            self.referee.with { $0.selectionChanged(fan, message.fence, now: now) }
        case "hold-expired":
            let (user, now) = (self.fans[index].user, self.now)
            self.referee.with { $0.holdExpired(user, now: now) }
            self.happened(index, .holdExpired)
        case "session-restored": self.heardRestored(index, payload)
        case "seats-reset":
            guard let reset = self.read(Reset.self, payload) else { return }
            self.fans[index].follower.leave()
            self.fans[index].follower.join(at: reset.seq)
            self.referee.with { $0.log.reset(seq: reset.seq) }
        case "force-logout": self.happened(index, .loggedOut)
        case "server-draining":
            let wait = self.read(Draining.self, payload)?.reconnectAfterMs ?? 1_000
            self.happened(index, .draining(.milliseconds(min(max(wait, 0), 30_000))))
        default: break
        }
    }

    private func read<T: Decodable>(_ type: T.Type, _ payload: ByteBuffer) -> T? {
        do {
            return try JSONDecoder().decode(type, from: payload)
        } catch {
            self.tally.refused("UNREADABLE_MESSAGE")
            return nil
        }
    }

    private func heardOfQueue(_ index: Int, _ name: String, _ message: QueueMessage) {
        let (fan, user, now) = (self.fans[index].number, self.fans[index].user, self.now)
        switch name {
        case "queue-updated":
            guard let position = message.position else { return }
            if let lag = self.referee.with({ $0.position(fan, user, position, now: now) }) {
                self.tally.record(.positionLag, lag)
            }
        case "queue-entry-allowed":
            self.referee.with { $0.admitted(user, until: message.expiresAt, now: now) }
            self.happened(index, .admitted)
        case "queue-cleared":
            self.referee.with { $0.queueCleared(user, now: now) }
            self.happened(index, .passEnded)
        default:
            self.referee.with { $0.passEnded(user, now: now) }
            self.happened(index, .passEnded)
        }
    }

    private func heardRestored(_ index: Int, _ payload: ByteBuffer) {
        guard var message = self.read(RestoredMessage.self, payload) else { return }
        // What this user did at another event is none of this play's business.
        if message.queueEventId != self.venue.eventID { message.queue = nil }
        if let other = message.seatEventId, other != self.venue.eventID { return }
        let (fan, user, now) = (self.fans[index].number, self.fans[index].user, self.now)
        let told = message
        self.referee.with { $0.restored(fan, user, told, now: now) }
        if message.seatEventId == self.venue.eventID, let seq = message.seq {
            self.fans[index].follower.join(at: seq)
        }
    }

    // MARK: Seats

    private func heardSeats(_ index: Int, _ kind: SeatLog.Kind, _ payload: ByteBuffer) {
        guard let seq = SeatMessage.seq(in: payload) else { return self.tally.refused("UNREADABLE_MESSAGE") }
        let now = self.now
        if let spread = self.feed.hear(seq, now) {
            self.tally.record(.seatLag, spread)
        } else if let message = self.read(SeatMessage.self, payload) {
            let seats = self.venue.places(message.seatIds)
            self.referee.with { $0.seatMessage(kind, seats, seq: seq, now: now) }
        }
        switch self.fans[index].follower.receive(seq) {
        case .inOrder, .ignored: break
        case .wrongOrder(let after):
            let words = "message \(seq) came behind \(after)"
            let breach = Breach(.messageOrder, fans: [self.fans[index].user], at: now, words)
            self.referee.with { $0.breach(breach) }
        case .gap(let after): self.sync(index, after: after)
        }
    }

    /// Asks for what was missed, as a client does.
    private func sync(_ index: Int, after: Int64) {
        self.tally.gaps += 1
        let connection = self.fans[index].connection
        let payload = RawJSON(trusted: #"{"eventId":"\#(self.venue.eventID)","seq":\#(after)}"#)
        self.fans[index].client?.emit("sync", [payload], timeout: .init(self.plan.patience)) { [weak self] result in
            guard let self, self.fans[index].connection == connection else { return }
            let answer = (try? result.get().first).flatMap { self.read(FanAnswer.self, $0.bytes) }
            let changes = answer?.reset == true ? nil : answer?.changes
            self.note(changes ?? [])
            if !self.fans[index].follower.synced(changes?.map(\.seq)) {
                let words = "after message \(after), sync told \(changes?.map(\.seq) ?? [])"
                let breach = Breach(.messageGap, fans: [self.fans[index].user], at: self.now, words)
                self.referee.with { $0.breach(breach) }
            }
        }
    }

    func note(_ changes: [FanAnswer.Change]) {
        let now = self.now
        for change in changes {
            guard let kind = SeatLog.Kind(rawValue: change.type) else { continue }
            let seats = self.venue.places(change.seatIds)
            self.referee.with { $0.seatMessage(kind, seats, seq: change.seq, now: now) }
        }
    }
}
