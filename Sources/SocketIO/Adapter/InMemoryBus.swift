import NIOCore
import Synchronization

/// Joins servers of one process. What the adapter of a single process does is nothing; this one is for tests and for
/// several servers side by side.
package final class InMemoryBus: Sendable {
    private struct State {
        var servers: [SocketIOServer] = []
        var listeners: [@Sendable (ClusterMessage) -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// An adapter for one more server.
    package func makeAdapter() -> any SocketAdapter { Adapter(bus: self) }

    /// Sees what is published. It counts as a node, one that never answers.
    package func listen(_ body: @escaping @Sendable (ClusterMessage) -> Void) {
        self.state.withLock { $0.listeners.append(body) }
    }

    fileprivate func add(_ server: SocketIOServer) { self.state.withLock { $0.servers.append(server) } }

    /// How many got it.
    @discardableResult fileprivate func publish(_ message: ClusterMessage) -> Int? {
        // Through the wire's bytes, so that both adapters deliver the same.
        guard let copy = ClusterMessage(decoding: message.encode()) else { return nil }
        let (servers, listeners) = self.state.withLock { ($0.servers, $0.listeners) }
        for server in servers { server.deliver(copy) }
        for listener in listeners { listener(copy) }
        return servers.count + listeners.count
    }

    fileprivate func answer(_ message: ClusterMessage, to node: String) {
        guard let copy = ClusterMessage(decoding: message.encode()) else { return }
        self.state.withLock { $0.servers }.first { $0.node == node }?.deliver(copy)
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
        func readyForAnswers() async {}
        func publish(_ message: ClusterMessage) { self.bus.publish(message) }
        func ask(_ message: ClusterMessage, received: @escaping @Sendable (Int?) -> Void) {
            received(self.bus.publish(message))
        }
        func answer(_ message: ClusterMessage, to node: String) { self.bus.answer(message, to: node) }
    }
}
