import DequeModule
import NIOCore

/// The sessions and events of one namespace, in this process. Knows no clock and no lock.
///
/// - Bounds: those of ``ConnectionStateRecovery`` for memory; sessions of living connections are bounded by these.
struct MemoryRecovery {
    private struct Session {
        var sid: String
        var owner: String
        var start: Int
        var stays: [String: Int] = [:]
        var data: (any Sendable)?
        var directCount = 0
        /// Events to this socket alone that are kept, and the last one that no longer is.
        var directs: Deque<RecoveryReplay.Event> = []
        var lastDropped = RecoveryOffset(broadcast: 0)
        var lastSent: RecoveryOffset?
        var settled = 0
        /// Until when the client may come back; `nil` while it is connected.
        var deadline: NIODeadline?
    }

    let epoch: String
    private let settings: ConnectionStateRecovery
    private(set) var log: RecoveryLog
    private var sessions: [String: Session] = [:]
    /// Whose event is the next to be dropped; one entry per event kept, also of sessions that have gone.
    private var directOrder: Deque<(pid: String, size: Int)> = []
    private var directBytes = 0
    /// Sessions in the order in which they were parked; an entry whose deadline is not its session's is skipped.
    private var parked: Deque<(pid: String, deadline: NIODeadline)> = []

    init(epoch: String, settings: ConnectionStateRecovery) {
        self.epoch = epoch
        self.settings = settings
        self.log = RecoveryLog(
            maxCount: settings.maxEventsPerNamespace,
            maxBytes: settings.maxBytesPerNamespace,
            // A client may have been deaf for a heartbeat before its disconnection was seen.
            maxAge: settings.maxDisconnectionDuration + .seconds(60)
        )
    }

    var sessionCount: Int { self.sessions.count }

    mutating func append(
        _ packet: EncodedPacket,
        rooms: [String],
        except: [String],
        now: NIODeadline
    ) -> RecoverableMessage {
        let epoch = self.epoch
        return self.log.append(now: now) { number in
            RecoverableMessage(epoch: epoch, number: number, packet: packet, rooms: rooms, except: except)
        }
    }

    // MARK: Sessions

    mutating func began(_ pid: String, sid: String, owner: String, start: Int, now: NIODeadline) {
        self.sessions[pid] = Session(sid: sid, owner: owner, start: start)
        self.expire(now: now)
    }

    mutating func resumed(_ pid: String, owner: String) {
        if self.sessions[pid]?.owner == owner { self.sessions[pid]?.deadline = nil }
    }

    mutating func emitted(_ packet: EncodedPacket, at offset: RecoveryOffset, pid: String, owner: String) {
        guard self.sessions[pid]?.owner == owner else { return }
        self.sessions[pid]?.directCount = offset.direct
        self.sessions[pid]?.directs.append(.init(offset: offset, packet: packet))
        self.directOrder.append((pid, packet.size))
        self.directBytes += packet.size
        while self.directOrder.count > self.settings.maxEventsPerNamespace
            || self.directBytes > self.settings.maxBytesPerNamespace
        {
            let (pid, size) = self.directOrder.removeFirst()
            self.directBytes -= size
            if let dropped = self.sessions[pid]?.directs.popFirst() {
                self.sessions[pid]?.lastDropped = dropped.offset
            }
        }
    }

    mutating func park(_ session: RecoverySession, data: (any Sendable)?, now: NIODeadline) {
        guard self.sessions[session.pid]?.owner == session.owner else { return }
        let deadline = now + self.settings.maxDisconnectionDuration
        self.sessions[session.pid]?.stays = session.stays
        self.sessions[session.pid]?.data = data
        self.sessions[session.pid]?.lastSent = session.lastSent
        self.sessions[session.pid]?.settled = session.settled
        self.sessions[session.pid]?.deadline = deadline
        self.parked.append((session.pid, deadline))
        self.expire(now: now)
    }

    mutating func forget(_ pid: String, owner: String) {
        if self.sessions[pid]?.owner == owner { self.sessions[pid] = nil }
    }

    /// Drops sessions whose time is over, and the oldest ones beyond the bound.
    mutating func expire(now: NIODeadline) {
        while let first = self.parked.first,
            first.deadline <= now || self.parked.count > self.settings.maxSessionsPerNamespace
        {
            self.parked.removeFirst()
            if self.sessions[first.pid]?.deadline == first.deadline { self.sessions[first.pid] = nil }
        }
    }

    // MARK: Coming back

    mutating func claim(_ request: RecoveryRequest, now: NIODeadline) -> RecoveryClaim? {
        guard let session = self.sessions[request.pid] else { return nil }
        // Who comes back takes its old socket out first, so every session that can be had is parked.
        guard let deadline = session.deadline, deadline > now else { return nil }
        var offset = RecoveryOffset(broadcast: session.start)
        var seen: RecoveryOffset?
        if let text = request.offset {
            guard let read = RecoveryOffset(text, epoch: self.epoch, sid: session.sid),
                read.broadcast <= self.log.last, read.direct <= session.directCount
            else { return nil }
            seen = read
            offset = max(offset, read)
        }
        // Who has had the last event that was handed to its connection has missed nothing before the end. So a quiet
        // client in a busy namespace does not depend on what the log still has of other people's events.
        if seen == session.lastSent { offset = max(offset, RecoveryOffset(broadcast: session.settled, direct: .max)) }
        let claim = RecoveryClaim(
            request,
            sid: session.sid,
            start: session.start,
            stays: session.stays,
            data: session.data,
            offset: offset,
            seen: seen,
            epoch: self.epoch
        )
        guard self.events(for: claim, session) != nil else { return nil }
        self.sessions[request.pid]?.owner = request.owner
        return claim
    }

    func missed(_ claim: RecoveryClaim) -> RecoveryReplay? {
        guard let session = self.sessions[claim.pid], session.owner == claim.owner,
            let events = self.events(for: claim, session)
        else { return nil }
        return RecoveryReplay(
            epoch: self.epoch,
            through: self.log.last,
            events: events,
            directCount: session.directCount
        )
    }

    private func events(for claim: RecoveryClaim, _ session: Session) -> [RecoveryReplay.Event]? {
        guard session.lastDropped <= claim.offset,
            let messages = self.log.messages(after: claim.offset.broadcast)
        else { return nil }
        var missed: [RecoveryReplay.Event] = []
        for message in messages where message.isFor(sid: claim.sid, since: claim.start, stays: claim.stays) {
            missed.append(.init(offset: RecoveryOffset(broadcast: message.number), packet: message.packet))
        }
        missed += session.directs.filter { $0.offset > claim.offset }
        return missed.sorted { $0.offset < $1.offset }
    }
}
