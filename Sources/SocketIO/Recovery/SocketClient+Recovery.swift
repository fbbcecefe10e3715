import EngineIO
import NIOCore

extension SocketClient {
    /// What a CONNECT packet says about an earlier session; `nil` if nothing, or nothing that we understand.
    static func recoveryRequest(_ auth: RawJSON, namespace: String) -> RecoveryRequest? {
        // Most clients come for the first time.
        guard auth.bytes.readableBytesView.firstRange(of: "\"pid\"".utf8) != nil,
            let payload = try? auth.decode(RecoveryPayload.self)
        else { return nil }
        return RecoveryRequest(
            pid: payload.pid,
            offset: payload.offset,
            owner: SessionID.random(),
            namespace: namespace
        )
    }

    /// Gets a client its session back, or goes on as if it had none.
    ///
    /// The order is what makes nothing lost and nothing doubled. First the old socket, wherever it is, lets go of the
    /// session. From then on this loop keeps what it delivers. Then the node takes part in the session's rooms, then
    /// the missed events are read, up to a number; what was delivered here behind that number is added from what the
    /// loop has kept, and what is still on its way up to that number is not delivered to this socket.
    func recover(_ request: RecoveryRequest, _ recovery: NamespaceRecovery, _ namespace: Namespace, auth: RawJSON) {
        let shard = namespace.shards[self.loopIndex]
        let old = recovery.reserve(request)
        self.restoring.append(namespace.name)
        shard.recovery?.beginRestore()
        self.claim(request, recovery, namespace, auth: auth, after: old)
    }

    /// - Parameter old: the socket that has the session on this node.
    private func claim(
        _ request: RecoveryRequest,
        _ recovery: NamespaceRecovery,
        _ namespace: Namespace,
        auth: RawJSON,
        after old: Socket?
    ) {
        let loop = self.connection.eventLoop
        // Nobody awaits this task: the store bounds its own time, and the result comes back to the loop.
        Task {
            await old?.superseded()
            // Who has been overtaken on this node must not take the session from the one who did.
            let isReserved = recovery.isReserved(request.pid, for: request.owner)
            let claim = isReserved ? await recovery.store?.claim(request) : nil
            loop.execute {
                self.restoring.removeAll { $0 == namespace.name }
                // Also when the connection is closed: who has overtaken it must know of its claim.
                let claim = claim.flatMap { recovery.took($0) ? $0 : nil }
                guard let claim, !self.isClosed else {
                    namespace.shards[self.loopIndex].recovery?.endRestore()
                    recovery.release(request.pid, owner: request.owner)
                    if !self.isClosed { self.connect(to: namespace, auth: auth) }
                    return
                }
                self.claimed(claim, recovery, namespace, auth: auth)
            }
        }
    }

    /// The first client of a namespace waits for its epoch: without it nothing that the client gets would be kept.
    func connect(to namespace: Namespace, auth: RawJSON, whenPrepared store: any RecoveryStore) {
        let loop = self.connection.eventLoop
        self.restoring.append(namespace.name)
        // Nobody awaits this task: the store bounds its time.
        Task {
            await store.prepare(namespace.name)
            loop.execute {
                self.restoring.removeAll { $0 == namespace.name }
                if !self.isClosed { self.open(namespace, auth: auth) }
            }
        }
    }

    /// The session is ours: middleware decides first, if it is asked.
    private func claimed(_ claim: RecoveryClaim, _ recovery: NamespaceRecovery, _ namespace: Namespace, auth: RawJSON) {
        let session = RecoverySession(claim)
        let socket = Socket(
            id: claim.sid,
            namespace: namespace,
            shard: namespace.shards[self.loopIndex],
            client: self,
            auth: auth,
            session: session
        )
        socket.restore(data: claim.data)
        let restore = PendingRestore(claim, socket, recovery)
        session.awaits(restore)
        if recovery.settings.skipMiddlewares { self.replay(restore) } else { self.decide(socket) }
    }

    /// The socket may come in: reads what it missed, then takes it in.
    func replay(_ restore: PendingRestore) {
        let loop = self.connection.eventLoop
        let namespace = restore.socket.namespace
        self.restoring.append(namespace.name)
        restore.holdRooms()
        // Nobody awaits this task either.
        Task {
            let replay = await restore.missed()
            loop.execute {
                self.restoring.removeAll { $0 == namespace.name }
                let socket = restore.socket
                guard !self.isClosed, let replay, let session = socket.session,
                    let recent = socket.shard.recovery?.delivered(after: replay, to: restore.claim),
                    namespace.recovery?.hold(session, socket) == true
                else {
                    // The circle of references between the socket and its restore ends here, too.
                    socket.letGo()
                    if !self.isClosed { self.connect(to: namespace, auth: socket.handshake.auth) }
                    return
                }
                session.complete(replay, seen: restore.claim.seen, recent: recent)
                self.accept(socket)
                restore.finish()
            }
        }
    }
}

/// The two keys that socket.io-client adds to the payload of CONNECT.
///
/// - Bounds: a pid of at most 64 bytes, an offset of at most 256.
private struct RecoveryPayload: Decodable {
    let pid: String
    let offset: String?

    private enum CodingKeys: String, CodingKey { case pid, offset }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.pid = try container.decode(String.self, forKey: .pid)
        // There and `null` is not the same as absent: no client sends it.
        self.offset = container.contains(.offset) ? try container.decode(String.self, forKey: .offset) : nil
        guard self.pid.utf8.count <= 64, (self.offset?.utf8.count ?? 0) <= 256 else {
            throw DecodingError.dataCorruptedError(forKey: .pid, in: container, debugDescription: "too long")
        }
    }
}
