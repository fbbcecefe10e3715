import DequeModule
import NIOCore
import Synchronization

/// Where one loop stands among the numbered broadcasts of a namespace. Touched on its loop only, but for `behind`.
final class ShardRecovery: @unchecked Sendable {
    /// Broadcasts that are on their way through the loop's queue.
    ///
    /// While there are any, whatever is asked for on the loop queues behind them: the order in which one handler
    /// broadcasts, answers, leaves rooms and disconnects is the order in which it happens.
    let behind = Atomic<Int>(0)
    fileprivate(set) var epoch: String?
    /// The last broadcast that was delivered here.
    fileprivate(set) var position = 0
    fileprivate var isDelivering = false
    /// Sockets of this loop that are being restored. Meanwhile what is delivered is kept for them.
    private var restoring = 0
    private var recent: Deque<RecoverableMessage> = []
    private var lastDropped = 0

    /// Bound of `recent`; the oldest go first, and who is being restored and needs them begins afresh.
    private static let maxRecent = 10_000

    init(_ standing: (epoch: String, position: Int)?) {
        self.epoch = standing?.epoch
        self.position = standing?.position ?? 0
    }

    var isBehind: Bool { self.isDelivering || self.behind.load(ordering: .relaxed) > 0 }

    func beginRestore() { self.restoring += 1 }

    func endRestore() {
        self.restoring -= 1
        guard self.restoring == 0 else { return }
        self.recent = []
        self.lastDropped = 0
    }

    /// How far this loop is in that life of the counter.
    func position(in epoch: String?) -> Int { self.epoch == epoch ? self.position : 0 }

    fileprivate func note(_ message: RecoverableMessage) {
        if self.epoch != message.epoch {
            self.recent = []
            self.lastDropped = 0
        }
        self.epoch = message.epoch
        self.position = message.number
        guard self.restoring > 0 else { return }
        self.recent.append(message)
        if self.recent.count > Self.maxRecent { self.lastDropped = self.recent.removeFirst().number }
    }

    /// What this loop has delivered of a session's broadcasts behind those of its replay; `nil` if it is not known.
    func delivered(after replay: RecoveryReplay, to claim: RecoveryClaim) -> [RecoverableMessage]? {
        guard self.recent.isEmpty || self.epoch == replay.epoch, self.lastDropped <= replay.through else { return nil }
        return self.recent.filter {
            $0.number > replay.through && $0.isFor(sid: claim.sid, since: claim.start, stays: claim.stays)
        }
    }
}

extension NamespaceShard {
    /// Queues the delivery of a numbered broadcast; false if the caller is on this loop, nothing is queued before it,
    /// and it may deliver at once. Called under the lock that gives out the numbers.
    func deliverLater(_ message: RecoverableMessage) -> Bool {
        guard let recovery = self.recovery else { return true }
        if self.eventLoop.inEventLoop && !recovery.isBehind { return false }
        recovery.behind.add(1, ordering: .relaxed)
        self.execute {
            recovery.behind.subtract(1, ordering: .relaxed)
            self.deliver(message)
        }
        return true
    }

    /// Delivers a numbered broadcast to the sockets of this loop that have not had it by their replay.
    func deliver(_ message: RecoverableMessage) {
        guard let recovery = self.recovery else { return }
        recovery.note(message)
        recovery.isDelivering = true
        defer { recovery.isDelivering = false }
        self.forEach(rooms: message.rooms, except: message.except) { socket in
            if let session = socket.session {
                if session.hasSeen(message) { return }
                session.lastSent = RecoveryOffset(broadcast: message.number)
            }
            socket.write(message.packet)
        }
    }
}
