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
    private let patternNamespaces = PatternNamespaces()
    private let adapterBox = Mutex<(any SocketAdapter)?>(nil)
    private let storeBox: Mutex<(any RecoveryStore)?>
    let requests = ClusterRequests()
    let serverSideJobs = ServerSideJobs()
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
            SocketLoop(eventLoop: $0, configuration: configuration)
        }
        self.indexOfLoop = Dictionary(
            uniqueKeysWithValues: self.loops.enumerated().map { (ObjectIdentifier($1.eventLoop), $0) }
        )
    }

    // MARK: Namespaces

    /// The namespace of that name, made at first use; with the handlers of the first pattern that has the name, if one
    /// does.
    package func of(_ name: String) -> Namespace {
        let name = name.hasPrefix("/") ? name : "/" + name
        if let namespace = self.namespace(named: name) { return namespace }
        return self.make(name)
    }

    /// All namespaces whose names match: give the result middleware and handlers as if it were one namespace. It has no
    /// sockets of its own; each namespace has its own rooms and is there while somebody needs it.
    ///
    /// Names with a namespace of their own do not get here; of several patterns the first one registered counts.
    package func of(matching matches: @escaping @Sendable (String) -> Bool) -> Namespace {
        let model = Namespace(name: "", server: self)
        self.patterns.withLock { $0.append(Pattern(matches: matches, model: model)) }
        return model
    }

    /// All namespaces whose whole names match a regular expression: `io.of(/\/dynamic-\d+/)`.
    package func of<Output>(_ pattern: sending Regex<Output>) -> Namespace {
        let box = RegexBox(pattern)
        return self.of(matching: { box.matches($0) })
    }

    /// The namespace of that name if there is one, or may be one.
    func namespace(named name: String) -> Namespace? {
        if let namespace = self.existingNamespace(name) { return namespace }
        // The main namespace is there whether somebody gave it handlers or not.
        if name == "/" { return self.make(name) }
        guard let model = self.patterns.withLock({ $0 }).first(where: { $0.matches(name) })?.model else { return nil }
        return self.patternNamespaces.namespace(name) { lease in
            Namespace(name: name, server: self, handlers: model.handlerBox, lease: lease)
        }
    }

    func existingNamespace(_ name: String) -> Namespace? {
        self.namespaces.withLock { $0[name] } ?? self.patternNamespaces.existing(name)
    }

    private func make(_ name: String) -> Namespace {
        let (namespace, isNew) = self.namespaces.withLock { namespaces in
            if let existing = namespaces[name] { return (existing, false) }
            let namespace = Namespace(name: name, server: self)
            namespaces[name] = namespace
            return (namespace, true)
        }
        if isNew { self.adapter?.opened(namespace: name) }
        return namespace
    }

    private var allNamespaces: [Namespace] {
        self.namespaces.withLock { Array($0.values) } + self.patternNamespaces.all
    }

    func handlersChanged(_ box: HandlerBox) {
        for namespace in self.allNamespaces where namespace.handlerBox === box {
            namespace.onShards { $0.refreshHandlers() }
        }
    }

    // MARK: Other nodes

    /// Where sessions are kept; `nil` unless clients may come back.
    var recoveryStore: (any RecoveryStore)? { self.storeBox.withLock { $0 } }

    /// For timers that belong to no socket.
    package var anyEventLoop: any EventLoop { self.loops[0].eventLoop }

    /// A numbered broadcast has come from the store, in the order of the numbers.
    package func deliver(_ message: RecoverableMessage, namespace: String) {
        guard let namespace = self.existingNamespace(namespace) else { return }
        for shard in namespace.shards where !shard.deliverLater(message) { shard.deliver(message) }
    }

    /// A broadcast that the store could not number: this node's sockets get it without an offset.
    package func deliverLocally(_ packet: EncodedPacket, namespace: String, rooms: [String], except: [String]) {
        self.existingNamespace(namespace)?.onShards { shard in
            shard.broadcast(packet, rooms: rooms, except: except, isVolatile: false)
        }
    }

    /// A session has been claimed, here or elsewhere.
    package func sessionLost(_ pid: String, by claim: Int) {
        for namespace in self.allNamespaces { namespace.recovery?.lost(pid, by: claim) }
    }

    /// The sockets of this node that hold sessions.
    package var recoverableSockets: [Socket] { self.allNamespaces.flatMap { $0.recovery?.sockets ?? [] } }

    /// Nodes that keep for their clients what they send themselves keep what others send as well, and bring it to their
    /// sockets in the order of their own numbers.
    func keeps(_ message: ClusterMessage) -> Bool {
        guard case .broadcast(let packet, isVolatile: false) = message.operation,
            self.recoveryStore?.isShared == false, let namespace = self.existingNamespace(message.namespace),
            let recovery = namespace.recovery
        else { return false }
        let (rooms, except) = (message.rooms, message.except)
        return recovery.broadcast(packet, in: namespace, rooms: rooms, except: except, isLocal: false)
    }

    var adapter: (any SocketAdapter)? { self.adapterBox.withLock { $0 } }

    /// Joins this server to others. Call it before the first connection.
    package func attach(_ adapter: any SocketAdapter) {
        self.adapterBox.withLock { $0 = adapter }
        if self.configuration.connectionStateRecovery != nil, let store = adapter.recovery {
            self.storeBox.withLock { $0 = store }
        }
        adapter.attached(to: self)
        for name in self.namespaces.withLock({ Array($0.keys) }) { adapter.opened(namespace: name) }
        self.patternNamespaces.attach(adapter)
    }

    package func onMissedMessages(_ body: @escaping @Sendable () -> Void) {
        self.missedBox.withLock { $0.append(body) }
    }

    /// The adapter lost its store for a while, or another node did.
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
        for namespace in self.allNamespaces {
            for socket in await namespace.all.localSockets() { socket.disconnect(close: true) }
        }
    }
}

/// A regular expression that several threads ask, one at a time.
private final class RegexBox<Output>: Sendable {
    private let pattern: Mutex<Regex<Output>>

    init(_ pattern: sending Regex<Output>) { self.pattern = Mutex(pattern) }

    func matches(_ name: String) -> Bool {
        self.pattern.withLock { (try? $0.wholeMatch(in: name)) != nil }
    }
}
