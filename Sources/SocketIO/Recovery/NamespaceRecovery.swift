import EngineIO
import NIOCore
import Synchronization

/// What a namespace does for clients that may come back. Made only if the server's configuration asks for it.
package final class NamespaceRecovery: Sendable {
    package let settings: ConnectionStateRecovery
    /// The server outlives its namespaces' sockets.
    private unowned let server: SocketIOServer
    /// Who has a session on this node: connected sockets, and connections that are about to get one back.
    private let holders = Mutex(SessionHolders<Socket>())

    init(settings: ConnectionStateRecovery, server: SocketIOServer) {
        self.settings = settings
        self.server = server
    }

    var store: (any RecoveryStore)? { self.server.recoveryStore }

    // MARK: Who holds a session

    /// A connection asks for a session: from now on nobody else on this node has it.
    ///
    /// - Returns: the socket that had it.
    func reserve(_ request: RecoveryRequest) -> Socket? {
        self.holders.withLock { $0.reserve(request.pid, owner: request.owner) }
    }

    func isReserved(_ pid: String, for owner: String) -> Bool {
        self.holders.withLock { $0.isReserved(pid, for: owner) }
    }

    /// The session's socket is there.
    ///
    /// - Returns: false if another connection has asked for the session meanwhile.
    @discardableResult
    func hold(_ session: RecoverySession, _ socket: Socket) -> Bool {
        self.holders.withLock { holders in
            guard !session.isRecovered || holders.has(session.pid, session.owner) else { return false }
            holders.hold(session.pid, owner: session.owner, claim: session.claim, socket)
            return true
        }
    }

    func release(_ pid: String, owner: String) { self.holders.withLock { $0.release(pid, owner: owner) } }

    /// The store has given the session to a connection that asked for it.
    ///
    /// - Returns: false if another one on this node has it, or is about to.
    func took(_ claim: RecoveryClaim) -> Bool {
        self.holders.withLock { $0.took(claim.pid, owner: claim.owner, claim: claim.number) }
    }

    /// A session has been claimed. Word of that may be late, and of a claim that came before ours.
    func lost(_ pid: String, by claim: Int) {
        self.holders.withLock { $0.lost(pid, by: claim) }?.supersede()
    }

    /// The sockets that hold sessions on this node.
    package var sockets: [Socket] { self.holders.withLock { $0.sockets } }

    // MARK: Sending

    /// - Returns: false if it has to be sent without an offset.
    func broadcast(
        _ packet: EncodedPacket,
        in namespace: Namespace,
        rooms: [String],
        except: [String],
        isLocal: Bool
    ) -> Bool {
        // What is for one node alone has no place in an order that all nodes share.
        guard let store = self.store, !(isLocal && store.isShared) else { return false }
        return store.broadcast(packet, to: namespace, rooms: rooms, except: except)
    }

    /// On the loop: an event to one socket alone.
    func emit(_ packet: EncodedPacket, to socket: Socket) {
        guard let session = socket.session, let store = self.store else { return socket.write(packet) }
        if socket.isJoined {
            guard let epoch = store.epoch(of: socket.namespace.name), let shard = socket.shard.recovery else {
                return socket.write(packet)
            }
            let offset = session.nextDirect(after: shard.position(in: epoch), epoch: epoch)
            let numbered = packet.appending(offset: offset.text(epoch: epoch, sid: socket.id))
            store.emitted(numbered, at: offset, epoch: epoch, session) { Self.follow(packet, socket) }
            socket.write(numbered)
        } else if session.isParked {
            Self.follow(packet, socket)
        }
    }

    /// Sends an event to wherever the session is now: its client may come back, or is back already, under the same id.
    private static func follow(_ packet: EncodedPacket, _ socket: Socket) {
        BroadcastOperator(socket.namespace).to([socket.id]).emit(packet)
    }

    /// Does something at once, or behind the broadcasts that are still on their way back to this node: who is told
    /// something and then thrown out has been told.
    func afterBroadcasts(_ action: @escaping @Sendable () -> Void) {
        if self.store?.afterBroadcasts(action) != true { action() }
    }

    // MARK: Data

    private static let dataPause = TimeAmount.milliseconds(50)

    /// Data have changed. They are stored at once, and what they become within the next moment is stored at its end.
    ///
    /// - Parameter stored: called when another node would find them, or when that cannot be had now.
    func dataChanged(of socket: Socket, stored: (@Sendable () -> Void)? = nil) {
        guard let store = self.store, store.isShared else {
            stored?()
            return
        }
        socket.onLoop {
            guard let session = socket.session else {
                stored?()
                return
            }
            session.dataAreStale = true
            // Before the socket has joined there is nothing to store them with.
            guard socket.isJoined, stored != nil || !session.dataRest else {
                stored?()
                return
            }
            self.storeData(of: socket, session, store, stored: stored)
        }
    }

    /// The socket has joined: what its data became before is stored.
    func storeEarlyData(of socket: Socket, _ session: RecoverySession) {
        guard let store = self.store, store.isShared, session.dataAreStale else { return }
        self.storeData(of: socket, session, store)
    }

    private func storeData(
        of socket: Socket,
        _ session: RecoverySession,
        _ store: any RecoveryStore,
        stored: (@Sendable () -> Void)? = nil
    ) {
        session.dataAreStale = false
        store.changed(socket.dataAsJSON, of: session) { stored?() }
        guard !session.dataRest else { return }
        session.dataRest = true
        socket.eventLoop.assumeIsolated().scheduleTask(in: Self.dataPause) {
            session.dataRest = false
            if session.dataAreStale, socket.isJoined { self.storeData(of: socket, session, store) }
        }
    }
}
