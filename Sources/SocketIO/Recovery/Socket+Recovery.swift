import NIOCore

/// What recovery adds to the life of a socket. All on its loop.
extension Socket {
    /// The socket is a member of its namespace: what it missed goes out in front of everything else.
    func begin(_ session: RecoverySession) {
        guard let recovery = self.namespace.recovery, let shard = self.shard.recovery else { return }
        if session.isRecovered {
            recovery.store?.resumed(session)
            for room in session.stays.keys { self.shard.join(self, room) }
        } else {
            let epoch = recovery.store?.epoch(of: session.namespace)
            session.begin(at: shard.position(in: epoch), epoch: epoch)
            recovery.hold(session, self)
            recovery.store?.began(session)
        }
        recovery.storeEarlyData(of: self, session)
        // In the reference's order, which its clients cope with: they keep events until they are connected.
        for packet in session.takeReplayed() { self.write(packet) }
        self.write(.connected(self.namespace.name, id: self.id, pid: session.pid))
    }

    func end(_ session: RecoverySession, _ reason: DisconnectReason) {
        guard let recovery = self.namespace.recovery, let shard = self.shard.recovery else { return }
        let epoch = recovery.store?.epoch(of: session.namespace)
        session.settle(at: shard.position(in: epoch), epoch: epoch, isParked: reason.isRecoverable)
        recovery.store?.ended(session, data: self.data, isRecoverable: reason.isRecoverable)
        recovery.release(session.pid, owner: session.owner)
    }

    /// Lets go of the connection because another one has the session now.
    func supersede() {
        self.onLoop { self.client?.removeSuperseded(self) }
    }

    /// The same; returns when it is done.
    func superseded() async {
        await withCheckedContinuation { continuation in
            self.onLoop {
                self.client?.removeSuperseded(self)
                continuation.resume()
            }
        }
    }

    /// Lets go of the session: another connection has it.
    package func loseSession() { self.supersede() }

    /// Calls `body` with the session on the loop, if the socket is still connected.
    package func withSession(_ body: @escaping @Sendable (RecoverySession, RawJSON?) -> Void) {
        self.onLoop { if let session = self.session, self.isJoined { body(session, self.dataAsJSON) } }
    }

    /// The data as they travel between nodes; `nil` if there are none, or they are no JSON.
    var dataAsJSON: RawJSON? {
        guard let value = self.data as? any Encodable else { return nil }
        return try? RawJSON(encoding: value)
    }
}

extension NamespaceShard {
    func joined(_ room: String, _ session: RecoverySession, stored: @escaping @Sendable () -> Void) {
        // A recovered socket has been in its rooms since long ago.
        guard session.stays[room] == nil, let store = self.namespace.recovery?.store else { return stored() }
        session.stays[room] = self.recovery?.position(in: store.epoch(of: session.namespace)) ?? 0
        store.joined(room, session, stored: stored)
    }

    func left(_ room: String, _ session: RecoverySession) {
        session.stays[room] = nil
        self.namespace.recovery?.store?.left(room, session)
    }
}
