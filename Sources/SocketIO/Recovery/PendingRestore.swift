import NIOCore

/// A session on its way back to its client: what has to be undone if it does not arrive.
///
/// Made and ended on its socket's loop, once each.
final class PendingRestore: @unchecked Sendable {
    let claim: RecoveryClaim
    let socket: Socket
    private let recovery: NamespaceRecovery
    private var holdsRooms = false
    private var isOver = false

    init(_ claim: RecoveryClaim, _ socket: Socket, _ recovery: NamespaceRecovery) {
        self.claim = claim
        self.socket = socket
        self.recovery = recovery
    }

    /// From now on this node listens to the session's rooms, though no socket of them is here yet.
    func holdRooms() {
        self.holdsRooms = true
        for room in self.claim.stays.keys { self.socket.namespace.roomJoined(room) }
    }

    /// Returns when broadcasts to the rooms arrive here, then with what was missed before.
    func missed() async -> RecoveryReplay? {
        let namespace = self.socket.namespace
        if let adapter = namespace.server.adapter {
            for room in self.claim.stays.keys { await adapter.ready(room, namespace: namespace.name) }
        }
        guard let store = self.recovery.store else { return nil }
        if let replay = await store.missed(self.claim) { return replay }
        // A connection that this one has overtaken on this node may have been the later one at the store. It has given
        // up, or will; the session is claimed once more.
        guard self.recovery.isReserved(self.claim.pid, for: self.claim.owner),
            let again = await store.claim(self.claim.request), again.stays == self.claim.stays,
            self.recovery.took(again)
        else { return nil }
        // The loop sees it when this returns.
        self.socket.session?.claim = again.number
        return await store.missed(self.claim)
    }

    /// The socket is in its rooms itself, or will never be.
    func finish() {
        guard !self.isOver else { return }
        self.isOver = true
        self.socket.shard.recovery?.endRestore()
        guard self.holdsRooms else { return }
        for room in self.claim.stays.keys { self.socket.namespace.roomLeft(room) }
    }

    /// The client is gone, refused, or gets a new session instead. Until its time is over it may try again.
    func abandon() {
        self.finish()
        self.recovery.release(self.claim.pid, owner: self.claim.owner)
    }
}
