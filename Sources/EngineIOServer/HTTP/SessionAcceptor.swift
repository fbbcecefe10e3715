import EngineIO
import NIOCore
import Synchronization

/// Takes accepted connections before Hummingbird's server does, and gives it those that turn out to be HTTP.
///
/// Hummingbird reads accepted connections as an asynchronous sequence, ten at a time, and makes a task for each: in a
/// storm of handshakes that, with the threads it wakes, costs more than the handshakes. A session needs none of it.
///
/// The first connection of a server channel takes the long way and puts two handlers into the server channel's
/// pipeline: one in front, which keeps each connection for a ``FirstRequestHandler``, and one at the end, which keeps
/// connections that come by a second time, as HTTP, from being registered with their loops twice.
final class SessionAcceptor: Sendable {
    /// Connections accepted in one go. The backlog is a queue of finite length: in a storm it must not overflow, because
    /// a client whose connection was dropped there tries again after a second.
    static let batch: UInt = 512
    /// How long the server waits for its sessions' connections to end when it is told to. A close frame may take the
    /// peer two seconds to answer.
    static let quiesceTimeout = TimeAmount.milliseconds(2500)

    private let engines: [EngineServer]
    private let makeHandler: @Sendable (SessionAcceptor) -> any ChannelHandler
    private let isInstalled = Atomic<Bool>(false)
    /// Connections that have not said what they want; `OpeningConnections` bounds their number.
    private let opening = Mutex<[ObjectIdentifier: any Channel]>([:])
    private let front = Mutex<NIOLoopBound<ChannelHandlerContext>?>(nil)

    init(engines: [EngineServer], makeHandler: @escaping @Sendable (SessionAcceptor) -> any ChannelHandler) {
        self.engines = engines
        self.makeHandler = makeHandler
    }

    /// Any thread; does something once.
    func install(on server: any Channel) {
        guard !self.isInstalled.exchange(true, ordering: .relaxed) else { return }
        server.eventLoop.execute {
            let pipeline = server.pipeline.syncOperations
            do {
                let gate = RegistrationGate()
                try pipeline.addHandler(gate, position: .last)
                try pipeline.addHandler(AcceptedConnections(self, gate), position: .first)
                try server.syncOptions?.setOption(.maxMessagesPerRead, value: Self.batch)
            } catch {
                // The server is closed already: nobody will be accepted any more.
                self.closeConnections()
            }
        }
    }

    /// The connection is HTTP: it comes to ``EngineHTTPChannel/setup(channel:logger:)`` as if it were new.
    func passOn(_ channel: any Channel) {
        guard let front = self.front.withLock({ $0 }) else { return channel.close(promise: nil) }
        channel.parent?.eventLoop.execute { front.value.fireChannelRead(NIOAny(channel)) }
    }

    /// It is known what the connection is, or it has ended.
    func decided(_ channel: any Channel) {
        _ = self.opening.withLock { $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    // MARK: For the handlers

    fileprivate func isReady(_ context: ChannelHandlerContext?) {
        self.front.withLock { $0 = context.map { NIOLoopBound($0, eventLoop: $0.eventLoop) } }
    }

    fileprivate func take(_ channel: any Channel) {
        self.opening.withLock { $0[ObjectIdentifier(channel)] = channel }
        if channel.eventLoop.inEventLoop {
            self.prepare(channel)
        } else {
            // In front of the registration, which goes the same way.
            channel.eventLoop.execute { self.prepare(channel) }
        }
    }

    private func prepare(_ channel: any Channel) {
        do {
            // As Hummingbird sets it: a client may end its side behind a request.
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            try channel.pipeline.syncOperations.addHandler(self.makeHandler(self))
        } catch {
            self.decided(channel)
            channel.close(promise: nil)
        }
    }

    fileprivate func closeConnections() {
        for channel in self.opening.withLock({ Array($0.values) }) {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        for engine in self.engines { engine.closeAll(.serverShuttingDown) }
    }

    fileprivate var hasConnections: Bool {
        self.opening.withLock { !$0.isEmpty } || self.engines.contains { $0.shared.openTransports > 0 }
    }
}

/// Stands in front of the server channel's pipeline.
private final class AcceptedConnections: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    private let acceptor: SessionAcceptor
    private let gate: RegistrationGate
    private var isQuiescing = false

    init(_ acceptor: SessionAcceptor, _ gate: RegistrationGate) {
        self.acceptor = acceptor
        self.gate = gate
    }

    func handlerAdded(context: ChannelHandlerContext) { self.acceptor.isReady(context) }
    func handlerRemoved(context: ChannelHandlerContext) { self.acceptor.isReady(nil) }

    /// A server that is cancelled is closed without being told to quiesce, and its sessions must not outlive it.
    func channelInactive(context: ChannelHandlerContext) {
        self.acceptor.closeConnections()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = Self.unwrapInboundIn(data)
        if self.isQuiescing { return channel.close(promise: nil) }
        self.acceptor.take(channel)
        self.gate.register(data)
    }

    /// Sessions are not known to Hummingbird, which ends as soon as the connections that it knows have.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent, !self.isQuiescing else {
            return context.fireUserInboundEventTriggered(event)
        }
        self.isQuiescing = true
        self.acceptor.closeConnections()
        self.waitForSessions(context, until: .now() + SessionAcceptor.quiesceTimeout)
    }

    private func waitForSessions(_ context: ChannelHandlerContext, until deadline: NIODeadline) {
        guard self.acceptor.hasConnections, NIODeadline.now() < deadline else {
            return context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
            self.waitForSessions(context, until: deadline)
        }
    }
}

/// Stands at the end of the server channel's pipeline, behind which a connection is registered with its loop.
private final class RegistrationGate: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func register(_ channel: NIOAny) { self.context?.fireChannelRead(channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !Self.unwrapInboundIn(data).isActive { context.fireChannelRead(data) }
    }
}
