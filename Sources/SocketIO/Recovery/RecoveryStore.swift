/// What a client says when it comes back.
package struct RecoveryRequest: Sendable {
    package let pid: String
    /// `nil` when it has had no event yet.
    package let offset: String?
    /// Names the connection that wants the session from now on.
    package let owner: String
    package let namespace: String

    package init(pid: String, offset: String?, owner: String, namespace: String) {
        self.pid = pid
        self.offset = offset
        self.owner = owner
        self.namespace = namespace
    }
}

/// A session that its client has come back for.
package struct RecoveryClaim: Sendable {
    package let request: RecoveryRequest
    /// Which of the session's claims it is, if the store counts them.
    package let number: Int
    package let sid: String
    package let start: Int
    package let stays: [String: Int]
    package let data: (any Sendable)?
    package let epoch: String
    /// The client has had everything up to here.
    package let offset: RecoveryOffset
    /// The offset it sent.
    package let seen: RecoveryOffset?

    package init(
        _ request: RecoveryRequest,
        number: Int = 0,
        sid: String,
        start: Int,
        stays: [String: Int],
        data: (any Sendable)?,
        offset: RecoveryOffset,
        seen: RecoveryOffset?,
        epoch: String
    ) {
        self.request = request
        self.number = number
        self.sid = sid
        self.start = start
        self.stays = stays
        self.data = data
        self.offset = offset
        self.seen = seen
        self.epoch = epoch
    }

    package var pid: String { self.request.pid }
    package var owner: String { self.request.owner }
    package var namespace: String { self.request.namespace }
}

/// What a client missed.
package struct RecoveryReplay: Sendable {
    package struct Event: Sendable {
        package let offset: RecoveryOffset
        /// With its offset as the last argument.
        package let packet: EncodedPacket

        package init(offset: RecoveryOffset, packet: EncodedPacket) {
            self.offset = offset
            self.packet = packet
        }
    }

    package let epoch: String
    /// Everything up to this broadcast is in `events` or was not for this socket.
    package let through: Int
    /// In order.
    package let events: [Event]
    package let directCount: Int

    package init(epoch: String, through: Int, events: [Event], directCount: Int) {
        self.epoch = epoch
        self.through = through
        self.events = events
        self.directCount = directCount
    }
}

/// Keeps sessions and events for clients that may come back.
///
/// Calls about one session come on its socket's loop, in order, but for `claim` and `missed`. Nothing but those two may
/// wait; no failure reaches the caller: what could not be kept cannot be recovered, that is all.
package protocol RecoveryStore: AnyObject, Sendable {
    /// Whether all nodes see the same sessions and broadcasts. Then rooms and data are told as they change.
    var isShared: Bool { get }

    /// The counter's present life; `nil` while events cannot be kept.
    func epoch(of namespace: String) -> String?

    /// Returns when the epoch is known, or when that cannot be had now.
    func prepare(_ namespace: String) async
    /// Where the loops of a new `Namespace` object stand: broadcasts up to there do not come to it.
    func standing(of namespace: String) -> (epoch: String, position: Int)?

    /// Numbers a broadcast, keeps it and brings it to every loop in the order of the numbers. Any thread.
    ///
    /// - Returns: false if it cannot: then the caller sends it without an offset.
    func broadcast(_ packet: EncodedPacket, to namespace: Namespace, rooms: [String], except: [String]) -> Bool

    /// Runs an action when all broadcasts that this node has sent so far have been brought to its loops.
    ///
    /// - Returns: false if that is so already: then the caller does it.
    func afterBroadcasts(_ action: @escaping @Sendable () -> Void) -> Bool

    /// A socket has connected, afresh.
    func began(_ session: RecoverySession)
    /// A socket has recovered: its session is open again.
    func resumed(_ session: RecoverySession)
    /// - Parameter stored: called when another node would find the socket in the room, or when that cannot be stored.
    func joined(_ room: String, _ session: RecoverySession, stored: @escaping @Sendable () -> Void)
    func left(_ room: String, _ session: RecoverySession)
    /// - Parameter stored: called when another node would find them, or when they cannot be stored.
    func changed(_ data: RawJSON?, of session: RecoverySession, stored: @escaping @Sendable () -> Void)
    /// Keeps an event to this socket alone, which the caller sends itself.
    ///
    /// - Parameter moved: called if it was not kept because another connection has the session, whose client has not
    ///   had the event.
    func emitted(
        _ packet: EncodedPacket,
        at offset: RecoveryOffset,
        epoch: String,
        _ session: RecoverySession,
        moved: @escaping @Sendable () -> Void
    )
    func ended(_ session: RecoverySession, data: (any Sendable)?, isRecoverable: Bool)

    /// Gives the session to `request.owner` and takes it from everybody else; `nil` if there is none or the offset
    /// means nothing.
    func claim(_ request: RecoveryRequest) async -> RecoveryClaim?
    /// Reads what was missed. The caller takes part in the session's rooms by now: what follows reaches it alive.
    ///
    /// - Returns: `nil` if some of it is gone, or somebody else has taken the session over.
    func missed(_ claim: RecoveryClaim) async -> RecoveryReplay?
}

extension RecoveryStore {
    package func afterBroadcasts(_ action: @escaping @Sendable () -> Void) -> Bool { false }
    package func prepare(_ namespace: String) async {}
    package func standing(of namespace: String) -> (epoch: String, position: Int)? { nil }
    package func joined(_ room: String, _ session: RecoverySession, stored: @escaping @Sendable () -> Void) {
        stored()
    }
    package func left(_ room: String, _ session: RecoverySession) {}
    package func changed(_ data: RawJSON?, of session: RecoverySession, stored: @escaping @Sendable () -> Void) {
        stored()
    }
}
