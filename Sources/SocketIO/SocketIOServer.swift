package import EngineIO
package import Logging
package import NIOCore
import Synchronization

/// A Socket.IO server: namespaces on top of an Engine.IO endpoint.
///
/// ```swift
/// let io = SocketIOServer(eventLoopGroup: group, logger: logger)
/// io.of("/").on("chat", inline: { socket, event in socket.to("lobby").emit("chat", arguments: event.arguments) })
/// let engine = EngineServer(application: io, eventLoopGroup: group, logger: logger)
/// ```
package final class SocketIOServer: EngineApplication, Sendable {
    package let configuration: SocketIOConfiguration
    /// This process among those that share an adapter.
    package let node: String
    let logger: Logger
    let loops: [SocketLoop]
    private let indexOfLoop: [ObjectIdentifier: Int]
    private let namespaces = Mutex<[String: Namespace]>([:])
    private let patterns = Mutex<[Pattern]>([])
    private let adapterBox = Mutex<(any SocketAdapter)?>(nil)
    private let storeBox: Mutex<(any RecoveryStore)?>
    private let missedBox = Mutex<[@Sendable () -> Void]>([])

    private struct Pattern: Sendable {
        let matches: @Sendable (String) -> Bool
        /// Holds the handlers that each namespace of the pattern gets; has no sockets itself.
        let model: Namespace
    }

    /// - Parameter eventLoopGroup: the group that serves HTTP.
    package init(
        configuration: SocketIOConfiguration = .init(),
        eventLoopGroup: any EventLoopGroup,
        logger: Logger
    ) {
        self.configuration = configuration
        self.storeBox = Mutex(configuration.connectionStateRecovery.map { MemoryRecoveryStore(settings: $0) })
        self.node = SessionID.random()
        self.logger = logger
        self.loops = eventLoopGroup.makeIterator().map {
            SocketLoop(eventLoop: $0, timeout: configuration.connectTimeout)
        }
        self.indexOfLoop = Dictionary(
            uniqueKeysWithValues: self.loops.enumerated().map { (ObjectIdentifier($1.eventLoop), $0) }
        )
    }

    // MARK: Namespaces

    /// The namespace of that name, made at first use.
    package func of(_ name: String) -> Namespace {
        let name = name.hasPrefix("/") ? name : "/" + name
        if let namespace = self.namespaces.withLock({ $0[name] }) { return namespace }
        return self.add(Namespace(name: name, server: self))
    }

    /// All namespaces whose names match: give the result handlers as if it were one namespace.
    package func of(matching matches: @escaping @Sendable (String) -> Bool) -> Namespace {
        let model = Namespace(name: "", server: self)
        self.patterns.withLock { $0.append(Pattern(matches: matches, model: model)) }
        return model
    }

    private func add(_ namespace: Namespace) -> Namespace {
        let (kept, isNew) = self.namespaces.withLock { namespaces in
            if let existing = namespaces[namespace.name] { return (existing, false) }
            namespaces[namespace.name] = namespace
            return (namespace, true)
        }
        if isNew { self.adapter?.opened(namespace: namespace.name) }
        return kept
    }

    func namespace(named name: String) -> Namespace? {
        if let namespace = self.namespaces.withLock({ $0[name] }) { return namespace }
        // The main namespace is there whether somebody gave it handlers or not.
        if name == "/" { return self.of(name) }
        guard let pattern = self.patterns.withLock({ $0.first { $0.matches(name) } }) else { return nil }
        return self.add(Namespace(name: name, server: self, handlers: pattern.model.handlers))
    }

    // MARK: The main namespace

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.of("/").all.emit(event, arguments: encodeArguments(arguments))
    }

    package func to(_ rooms: String...) -> BroadcastOperator { self.of("/").all.to(rooms) }
    package func `in`(_ rooms: String...) -> BroadcastOperator { self.of("/").all.to(rooms) }
    package func except(_ rooms: String...) -> BroadcastOperator { self.of("/").all.except(rooms) }
    package var local: BroadcastOperator { self.of("/").local }

    // MARK: Other nodes

    /// Where sessions are kept; `nil` unless clients may come back.
    var recoveryStore: (any RecoveryStore)? { self.storeBox.withLock { $0 } }

    var adapter: (any SocketAdapter)? { self.adapterBox.withLock { $0 } }

    /// Joins this server to others. Call it before the first connection.
    package func attach(_ adapter: any SocketAdapter) {
        self.adapterBox.withLock { $0 = adapter }
        if self.configuration.connectionStateRecovery != nil, let store = adapter.recovery {
            self.storeBox.withLock { $0 = store }
        }
        adapter.attached(to: self)
        for name in self.namespaces.withLock({ Array($0.keys) }) { adapter.opened(namespace: name) }
    }

    /// A message of another node, from the adapter. Our own come back as well and are left out.
    package func deliver(_ message: ClusterMessage) {
        guard message.node != self.node, let namespace = self.namespaces.withLock({ $0[message.namespace] }) else {
            return
        }
        // Nodes that keep what they send by themselves keep what others send as well.
        if case .broadcast(let packet, isVolatile: false) = message.operation, let recovery = namespace.recovery,
            recovery.store?.isShared == false,
            recovery.broadcast(packet, in: namespace, rooms: message.rooms, except: message.except, isLocal: false)
        {
            return
        }
        namespace.apply(message.operation, rooms: message.rooms, except: message.except)
    }

    package func onMissedMessages(_ body: @escaping @Sendable () -> Void) {
        self.missedBox.withLock { $0.append(body) }
    }

    /// The adapter lost its store for a while.
    package func messagesMayBeMissed() {
        for body in self.missedBox.withLock({ $0 }) { body() }
    }

    // MARK: Connections

    package func connected(_ connection: any EngineConnection) -> any EngineReceiver {
        // Both servers were made with the same group; a connection from another one would have no home.
        guard let index = self.indexOfLoop[ObjectIdentifier(connection.eventLoop)] else {
            preconditionFailure("Socket.IO: the engine runs on another event loop group")
        }
        let client = SocketClient(connection: connection, server: self, loopIndex: index)
        self.loops[index].opened(client)
        return client
    }

    /// Takes every local socket out of its namespace and closes its connection.
    package func closeAll() async {
        for namespace in self.namespaces.withLock({ Array($0.values) }) {
            for socket in await namespace.all.fetchSockets() { socket.disconnect(close: true) }
        }
    }
}
