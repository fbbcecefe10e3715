import EngineIO
import NIOCore

/// What the sessions of one endpoint share on one event loop: the clock of their heartbeats and the list of
/// connections that have something to flush.
///
/// Touched on its loop only, which is what makes it Sendable.
final class EngineLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    let server: EngineServer.Shared
    /// `nil` if messages are not compressed on this endpoint.
    let compression: MessageCompression?
    let sender = DirectSender()

    /// Sessions by slot; slots are used again, with another generation.
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private(set) var sessionCount = 0

    /// Deadlines of pings and of pongs. Each list has one constant delay, so appending keeps it sorted and a
    /// session's heartbeat costs no timer of its own. At most one live entry per session in each list; an
    /// entry whose session ended or was answered in time is skipped when it comes up.
    private var pings = CircularBuffer<Deadline>()
    private var pongs = CircularBuffer<Deadline>()
    private var timer: (task: Scheduled<Void>, at: NIODeadline)?

    /// Connections written to in this tick; flushed once at its end, some at a time.
    private var dirty: [WebSocketTransport] = []
    /// Those that are being flushed, up to ``flushed``.
    private var flushing: [WebSocketTransport] = []
    private var flushed = 0
    /// Those that are not WebSocket connections of this loop; apart, because they are few.
    private var others: [any EndOfTickFlushing] = []
    private var flushIsScheduled = false

    /// About a millisecond's.
    private static let flushesBetweenReads = 128
    /// Long enough for the loop to find nothing to run, so that it looks at its sockets.
    private static let pauseForReads = TimeAmount.microseconds(10)

    private struct Slot {
        var session: EngineSession?
        var generation: UInt32
    }

    private struct Deadline {
        var at: NIODeadline
        var slot: Int32
        var generation: UInt32
    }

    init(eventLoop: any EventLoop, server: EngineServer.Shared) {
        self.eventLoop = eventLoop
        self.server = server
        self.compression = server.configuration.perMessageDeflate.flatMap { MessageCompression($0) }
    }

    // MARK: Sessions

    func insert(_ session: EngineSession) {
        let slot = self.freeSlots.popLast() ?? self.slots.count
        if slot == self.slots.count { self.slots.append(Slot(session: nil, generation: 0)) }
        self.slots[slot].session = session
        session.slot = slot
        self.sessionCount += 1
    }

    func remove(_ session: EngineSession) {
        guard self.slots.indices.contains(session.slot), self.slots[session.slot].session === session else { return }
        self.slots[session.slot].session = nil
        self.slots[session.slot].generation &+= 1
        self.freeSlots.append(session.slot)
        self.sessionCount -= 1
    }

    func closeAll(_ reason: EngineCloseReason) {
        for slot in self.slots { slot.session?.close(reason) }
    }

    /// What all sessions of this loop keep for peers that have not taken it yet. O(sessions), some nanoseconds each:
    /// a connection that keeps up is not asked twice.
    var unsentBytes: Int { self.slots.reduce(0) { $0 + ($1.session?.unsentBytes ?? 0) } }

    // MARK: Heartbeats

    func schedulePing(of session: EngineSession, at deadline: NIODeadline) {
        self.pings.append(self.deadline(of: session, at: deadline))
        self.armTimer(deadline)
    }

    func schedulePongTimeout(of session: EngineSession, at deadline: NIODeadline) {
        self.pongs.append(self.deadline(of: session, at: deadline))
        self.armTimer(deadline)
    }

    private func deadline(of session: EngineSession, at time: NIODeadline) -> Deadline {
        Deadline(at: time, slot: Int32(session.slot), generation: self.slots[session.slot].generation)
    }

    private func armTimer(_ deadline: NIODeadline) {
        if let timer = self.timer {
            if timer.at <= deadline { return }
            timer.task.cancel()
        }
        let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.runDeadlines() }
        self.timer = (task, deadline)
    }

    private func runDeadlines() {
        self.timer = nil
        let now = NIODeadline.now()
        // Both lists are free again before a session acts, because acting appends to them.
        self.tick(Self.takeDue(&self.pings, now), now: now)
        self.tick(Self.takeDue(&self.pongs, now), now: now)
        if let next = [self.pings.first?.at, self.pongs.first?.at].compactMap({ $0 }).min() { self.armTimer(next) }
    }

    private static func takeDue(_ list: inout CircularBuffer<Deadline>, _ now: NIODeadline) -> [Deadline] {
        var due: [Deadline] = []
        while let first = list.first, first.at <= now { due.append(list.removeFirst()) }
        return due
    }

    private func tick(_ due: [Deadline], now: NIODeadline) {
        self.eventLoop.assertInEventLoop()
        for entry in due where self.slots[Int(entry.slot)].generation == entry.generation {
            self.slots[Int(entry.slot)].session?.tick(now: now)
        }
    }

    // MARK: Flushing

    /// Remembers a connection that has written. The flush comes at the end of this loop tick: by then a burst of
    /// broadcasts lies in the channel and leaves in one system call.
    func markDirty(_ transport: WebSocketTransport) {
        self.dirty.append(transport)
        self.scheduleFlush()
    }

    func markDirty(_ other: any EndOfTickFlushing) {
        self.others.append(other)
        self.scheduleFlush()
    }

    private func scheduleFlush() {
        guard !self.flushIsScheduled else { return }
        self.flushIsScheduled = true
        self.eventLoop.assumeIsolated().execute { self.flushDirty() }
    }

    /// Flushes as many as may be before the loop reads again.
    ///
    /// A thousand system calls take ten milliseconds. What comes meanwhile would wait for all of them and then for
    /// another thousand; read in between it leaves together with the frames that still wait, so that a room that is
    /// written to faster than it can be flushed needs fewer calls, and who is not in it does not wait for it.
    private func flushDirty() {
        self.flushIsScheduled = false
        if self.flushed == self.flushing.count {
            self.flushing.removeAll(keepingCapacity: true)
            self.flushed = 0
            swap(&self.dirty, &self.flushing)
        }
        let end = min(self.flushed + Self.flushesBetweenReads, self.flushing.count)
        while self.flushed < end {
            self.flushing[self.flushed].flush()
            self.flushed += 1
        }
        self.flushOthers()
        if self.flushed == self.flushing.count {
            self.flushing.removeAll(keepingCapacity: true)
            self.flushed = 0
            self.compression?.forget()
        }
        guard !self.flushIsScheduled, !(self.flushing.isEmpty && self.dirty.isEmpty) else { return }
        self.flushIsScheduled = true
        // What is executed now runs before the loop looks at its sockets, what is a moment ahead runs after.
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.pauseForReads) { self.flushDirty() }
    }

    private func flushOthers() {
        guard !self.others.isEmpty else { return }
        let others = self.others
        self.others.removeAll(keepingCapacity: true)
        for other in others { other.flush() }
    }
}

/// Something that gathers what is written within a tick of a loop.
protocol EndOfTickFlushing: AnyObject {
    func flush()
}
