import Synchronization

/// The sessions of one endpoint on all loops, by sid: a request may come over a connection of any loop.
///
/// - Bounds: as many as there are sessions, which `maxSessions` bounds, and those that linger for a moment after
///   their end.
final class SessionTable: Sendable {
    private final class Shard: Sendable {
        let sessions = Mutex<[String: EngineSession]>([:])
    }

    /// So many that loops seldom meet at one lock.
    private let shards = (0..<16).map { _ in Shard() }

    private func shard(_ sid: String) -> Shard {
        // Sids of ours are random, so any of their bytes spreads them; others are only looked for.
        self.shards[Int(sid.utf8.first ?? 0) & 15]
    }

    subscript(sid: String) -> EngineSession? {
        self.shard(sid).sessions.withLock { $0[sid] }
    }

    func insert(_ session: EngineSession) {
        self.shard(session.sid).sessions.withLock { $0[session.sid] = session }
    }

    func remove(_ session: EngineSession) {
        _ = self.shard(session.sid).sessions.withLock { $0.removeValue(forKey: session.sid) }
    }
}
