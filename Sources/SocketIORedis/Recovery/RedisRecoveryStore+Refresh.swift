import Redis
import SocketIO
import Synchronization

/// Sessions of living connections go on living.
extension RedisRecoveryStore {
    private static let refreshBatch = 256

    /// Keeps the sessions of this node's sockets alive, until cancelled.
    ///
    /// A tenth of the duration: a killed node's sessions then have nine tenths of it left.
    func refreshForever() async {
        while !Task.isCancelled {
            let pause = Duration.milliseconds(max(50, min(self.durationMs / 10, 10_000)))
            do { try await Task.sleep(for: pause) } catch { return }
            await self.refresh()
        }
    }

    private func refresh() async {
        guard let server = self.link.server(), server.configuration.connectionStateRecovery != nil else { return }
        let sockets = server.recoverableSockets
        // Somebody has to find out that Redis is back.
        if sockets.isEmpty, self.state.withLock({ $0.isAway }) {
            _ = await self.call(RecoveryScripts.head, "/", keys: [], [])
        }
        for (namespace, members) in Dictionary(grouping: sockets, by: \.namespace.name) {
            if !self.state.withLock({ $0.prepared.contains(namespace) }) { await self.prepare(namespace) }
            var rest = members[...]
            while !rest.isEmpty {
                let batch = rest.prefix(Self.refreshBatch).compactMap { socket in socket.session.map { (socket, $0) } }
                rest = rest.dropFirst(Self.refreshBatch)
                await self.refresh(batch, namespace)
            }
        }
    }

    private func refresh(_ batch: [(Socket, RecoverySession)], _ namespace: String) async {
        let keys = self.keys(namespace)
        let reply = await self.call(
            RecoveryScripts.refresh,
            namespace,
            keys: batch.map { keys.session($0.1.pid) },
            [RedisArgument(self.durationMs)] + batch.map { RedisArgument($0.1.owner) }
        )
        guard let reply else { return }
        for ((socket, _), state) in zip(batch, reply.dropFirst(2)) {
            switch state.int {
            case 0:
                // Redis was emptied, or slower than a whole duration. The client's offsets are of another life or
                // before the new beginning: what it missed until now it cannot be sent.
                socket.withSession { session, data in self.write(session, data: data) }
            case 2:
                // The message about it was lost.
                socket.loseSession()
            default: break
            }
        }
    }
}
