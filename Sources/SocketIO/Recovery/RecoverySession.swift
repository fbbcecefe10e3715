import EngineIO

/// What makes a socket recoverable. Touched on the socket's loop only but for its constants, which is what makes it
/// Sendable.
package final class RecoverySession: @unchecked Sendable {
    /// The secret by which the client names the session when it comes back.
    package let pid: String
    package let sid: String
    package let namespace: String
    /// Changes whenever a connection takes the session over: who holds an older one has lost it.
    package let owner: String
    /// Which of the session's claims gave it to this connection; 0: it began with it.
    package internal(set) var claim: Int
    /// Whether an earlier connection began it.
    package let isRecovered: Bool
    /// The last broadcast before the session began.
    package internal(set) var start: Int
    /// For each room, the last broadcast before it was joined.
    package internal(set) var stays: [String: Int]
    /// The last event that was handed to the connection.
    package internal(set) var lastSent: RecoveryOffset?
    /// All broadcasts up to here have been handed to the connection, or were not for this socket.
    package private(set) var settled = 0
    /// How many events went to this socket alone.
    package private(set) var directCount = 0
    /// Broadcasts of `epoch` up to this one were replayed or came before the session: some may still be on their way
    /// through the loops, and must not be delivered.
    private var base = 0
    private var epoch: String?
    /// The connection is gone, the client may come back.
    private(set) var isParked = false
    /// Data have changed since they were stored.
    var dataAreStale = false
    /// They were stored a moment ago: further changes wait for its end.
    var dataRest = false
    /// Set until what was missed has been read.
    private(set) var restore: PendingRestore?
    /// What the client is sent in front of the answer to its CONNECT.
    private var replayed: [EncodedPacket] = []

    init(sid: String, namespace: String) {
        self.pid = SessionID.random()
        self.sid = sid
        self.namespace = namespace
        self.owner = SessionID.random()
        self.claim = 0
        self.isRecovered = false
        self.start = 0
        self.stays = [:]
    }

    init(_ claim: RecoveryClaim) {
        self.pid = claim.pid
        self.sid = claim.sid
        self.namespace = claim.namespace
        self.owner = claim.owner
        self.claim = claim.number
        self.isRecovered = true
        self.start = claim.start
        self.stays = claim.stays
    }

    // MARK: Beginning

    /// A new socket: what was broadcast before is not for it.
    func begin(at position: Int, epoch: String?) {
        self.start = position
        self.base = position
        self.epoch = epoch
    }

    func awaits(_ restore: PendingRestore) { self.restore = restore }

    /// Everything is there: the replay, and what this loop has delivered behind it.
    func complete(_ replay: RecoveryReplay, seen: RecoveryOffset?, recent: [RecoverableMessage]) {
        self.restore = nil
        self.base = max(replay.through, recent.last?.number ?? 0)
        self.epoch = replay.epoch
        self.directCount = replay.directCount
        self.lastSent = recent.last.map { RecoveryOffset(broadcast: $0.number) } ?? replay.events.last?.offset ?? seen
        self.replayed = replay.events.map(\.packet) + recent.map(\.packet)
    }

    func takeReplayed() -> [EncodedPacket] {
        defer { self.replayed = [] }
        return self.replayed
    }

    func abandonRestore() {
        let restore = self.restore
        self.restore = nil
        restore?.abandon()
    }

    // MARK: Living

    /// The place of the next event to this socket alone.
    func nextDirect(after position: Int, epoch: String) -> RecoveryOffset {
        self.directCount += 1
        let base = self.epoch == epoch ? self.base : 0
        let offset = RecoveryOffset(broadcast: max(position, base), direct: self.directCount)
        self.lastSent = offset
        return offset
    }

    func hasSeen(_ message: RecoverableMessage) -> Bool {
        message.number <= self.base && message.epoch == self.epoch
    }

    func settle(at position: Int, epoch: String?, isParked: Bool) {
        self.settled = max(position, self.epoch == epoch ? self.base : 0)
        self.isParked = isParked
    }
}
