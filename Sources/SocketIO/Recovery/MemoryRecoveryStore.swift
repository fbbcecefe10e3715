import EngineIO
import NIOCore
import Synchronization

/// Keeps sessions and events in this process: whoever comes back must come back to it.
///
/// Numbers are given out and loops are called under one lock, so that every loop delivers in the order of the numbers.
final class MemoryRecoveryStore: RecoveryStore, Sendable {
    private let settings: ConnectionStateRecovery
    /// Above it, namespaces whose last session is over are forgotten; clients can make up names that fit a pattern.
    private static let maxIdleNamespaces = 64
    /// By name.
    private let namespaces = Mutex<[String: MemoryRecovery]>([:])

    init(settings: ConnectionStateRecovery) { self.settings = settings }

    var isShared: Bool { false }
    func epoch(of namespace: String) -> String? { self.change(namespace) { $0.epoch } }

    private func change<R>(_ namespace: String, _ body: (inout MemoryRecovery) -> R) -> R {
        self.namespaces.withLock { namespaces in
            if namespaces[namespace] == nil, namespaces.count >= Self.maxIdleNamespaces {
                for name in namespaces.keys {
                    namespaces[name]?.expire(now: .now())
                    if namespaces[name]?.sessionCount == 0 { namespaces[name] = nil }
                }
            }
            // Offsets of another life of this process, or of an earlier one of the namespace, mean nothing to this one.
            return body(
                &namespaces[
                    namespace,
                    default: MemoryRecovery(epoch: String(SessionID.random().prefix(8)), settings: self.settings)
                ]
            )
        }
    }

    func standing(of namespace: String) -> (epoch: String, position: Int)? {
        self.change(namespace) { ($0.epoch, $0.log.last) }
    }

    func broadcast(_ packet: EncodedPacket, to namespace: Namespace, rooms: [String], except: [String]) -> Bool {
        var here: NamespaceShard?
        let message = self.change(namespace.name) { memory in
            let message = memory.append(packet, rooms: rooms, except: except, now: .now())
            for shard in namespace.shards where !shard.deliverLater(message) { here = shard }
            return message
        }
        here?.deliver(message)
        return true
    }

    func began(_ session: RecoverySession) {
        self.change(session.namespace) {
            $0.began(session.pid, sid: session.sid, owner: session.owner, start: session.start, now: .now())
        }
    }

    func resumed(_ session: RecoverySession) {
        self.change(session.namespace) { $0.resumed(session.pid, owner: session.owner) }
    }

    /// Who has lost the session here is told before another gets it.
    func emitted(
        _ packet: EncodedPacket,
        at offset: RecoveryOffset,
        epoch: String,
        _ session: RecoverySession,
        moved: @escaping @Sendable () -> Void
    ) {
        self.change(session.namespace) { $0.emitted(packet, at: offset, pid: session.pid, owner: session.owner) }
    }

    func ended(_ session: RecoverySession, data: (any Sendable)?, isRecoverable: Bool) {
        self.change(session.namespace) { memory in
            if isRecoverable {
                memory.park(session, data: data, now: .now())
            } else {
                memory.forget(session.pid, owner: session.owner)
            }
        }
    }

    func claim(_ request: RecoveryRequest) async -> RecoveryClaim? {
        self.change(request.namespace) { $0.claim(request, now: .now()) }
    }

    func missed(_ claim: RecoveryClaim) async -> RecoveryReplay? {
        self.change(claim.namespace) { $0.missed(claim) }
    }
}
