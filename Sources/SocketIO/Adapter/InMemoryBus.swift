import NIOCore
import Synchronization

/// Joins servers of one process. What the adapter of a single process does is nothing; this one is for tests and for
/// several servers side by side.
package final class InMemoryBus: Sendable {
    private let servers = Mutex<[SocketIOServer]>([])

    package init() {}

    /// An adapter for one more server.
    package func makeAdapter() -> any SocketAdapter { Adapter(bus: self) }

    fileprivate func add(_ server: SocketIOServer) { self.servers.withLock { $0.append(server) } }

    fileprivate func publish(_ message: ClusterMessage) {
        // Through the wire's bytes, so that both adapters deliver the same.
        guard let copy = ClusterMessage(decoding: message.encode()) else { return }
        for server in self.servers.withLock({ $0 }) { server.deliver(copy) }
    }

    private final class Adapter: SocketAdapter {
        private let bus: InMemoryBus

        init(bus: InMemoryBus) { self.bus = bus }

        func attached(to server: SocketIOServer) { self.bus.add(server) }
        func opened(namespace: String) {}
        func closed(namespace: String) {}
        func opened(_ room: String, namespace: String) {}
        func closed(_ room: String, namespace: String) {}
        func ready(_ room: String, namespace: String) async {}
        func publish(_ message: ClusterMessage) { self.bus.publish(message) }
    }
}
