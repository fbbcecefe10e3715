import EngineIO
import Metrics
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

/// What became of an accepted connection.
enum FirstRequestOutcome<HTTP: Sendable>: Sendable {
    case http(HTTP)
    /// A session owns the channel, or it is closed already: nothing is left to do.
    case done
}

/// Stands at the front of every accepted connection until it is clear what it wants to be.
///
/// A WebSocket handshake for one of our endpoints is answered right here: no HTTP handler is ever made for such a
/// connection, which is most of what a storm of connections costs otherwise. Everything else is given to the HTTP
/// pipeline with the bytes read so far. Waits for a whole head only if the first bytes are those of a handshake.
/// It stays in front of a connection that is HTTP, to tell a ``RequestWatch`` when bytes come.
///
/// - Bounds: 16 KiB and 100 fields of head (431), 10 s to send it (408).
final class FirstRequestHandler<HTTP: Sendable>: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static var headTimeout: TimeAmount { RequestWatch.headTimeout }

    private let engines: [EngineServer]
    private let direct: DirectRoutes?
    private let gate: RequestGate?
    /// Who is told what the connection is.
    enum Waiter {
        /// Hummingbird's server has the connection and waits; the closure sets up HTTP.
        case promise(EventLoopPromise<FirstRequestOutcome<HTTP>>, (any Channel) -> EventLoopFuture<HTTP>)
        /// Hummingbird's server does not know of the connection; it is given it if it is HTTP.
        case acceptor(SessionAcceptor)
    }

    private let waiter: Waiter
    private var head = ByteBuffer()
    /// The connection is HTTP and on its way to Hummingbird's server.
    private var isPassedOn = false
    private var inputIsClosed = false
    private var context: ChannelHandlerContext?
    private var timeout: Scheduled<Void>?
    private var isDecided = false
    /// Of a connection that is HTTP.
    private var watch: RequestWatch?

    private let idleTimeout: TimeAmount?
    private let opening: OpeningConnections
    private var isCounted = false

    init(
        engines: [EngineServer],
        direct: DirectRoutes? = nil,
        gate: RequestGate? = nil,
        waiter: Waiter,
        idleTimeout: TimeAmount? = nil,
        opening: OpeningConnections = OpeningConnections()
    ) {
        self.engines = engines
        self.direct = direct
        self.gate = gate
        self.waiter = waiter
        self.idleTimeout = idleTimeout
        self.opening = opening
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard self.opening.enter() else {
            context.close(promise: nil)
            return
        }
        self.isCounted = true
        self.timeout = context.eventLoop.assumeIsolated().scheduleTask(in: Self.headTimeout) {
            self.refuse(.problem(.requestTimeout), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.watch = nil
        self.timeout?.cancel()
        if !self.isDecided { self.decide(.done) }
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isDecided else {
            self.watch?.bytesCame()
            return context.fireChannelRead(data)
        }
        var bytes = Self.unwrapInboundIn(data)
        if self.head.readableBytes == 0 { self.head = bytes } else { self.head.writeBuffer(&bytes) }
        guard !self.isPassedOn else { return }
        guard self.mayBeHandshake else { return self.becomeHTTP(context) }
        guard let end = self.endOfHead else {
            if self.head.readableBytes > UpgradeRequestHead.maxBytes { self.refuseLargeHead(context) }
            return
        }
        self.answerHandshake(headLength: end, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !self.isDecided { self.decide(.done) }
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if self.isPassedOn, !self.isDecided, event as? ChannelEvent == .inputClosed {
            // What came before the end is a request all the same.
            self.inputIsClosed = true
        } else if !self.isDecided, event is ChannelShouldQuiesceEvent || event as? ChannelEvent == .inputClosed {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.isDecided { context.fireErrorCaught(error) } else { context.close(promise: nil) }
    }

    // MARK: Deciding

    private func decide(_ outcome: FirstRequestOutcome<HTTP>) {
        self.isDecided = true
        if self.isCounted { self.opening.leave() }
        self.timeout?.cancel()
        self.timeout = nil
        switch self.waiter {
        case .promise(let promise, _): promise.succeed(outcome)
        case .acceptor(let acceptor): if let channel = self.context?.channel { acceptor.decided(channel) }
        }
    }

    /// Whether what has come so far is the beginning of `GET <path of an endpoint>`.
    private var mayBeHandshake: Bool {
        self.engines.contains { engine in
            let start = zip("GET \(engine.path)".utf8.dropLast(), self.head.readableBytesView)
            return start.allSatisfy { $0 == $1 }
        }
    }

    /// Bytes up to and including the blank line.
    private var endOfHead: Int? {
        self.head.withUnsafeReadableBytes { bytes in
            var index = 3
            while index < bytes.count {
                if bytes[index] == 0x0A {
                    if bytes[index - 1] == 0x0D, bytes[index - 2] == 0x0A, bytes[index - 3] == 0x0D {
                        return index + 1
                    }
                    index += 1
                } else {
                    index += bytes[index] == 0x0D ? 1 : 2
                }
            }
            return nil
        }
    }

    private func becomeHTTP(_ context: ChannelHandlerContext) {
        switch self.waiter {
        case .promise(_, let makeHTTP):
            self.becomeHTTP(on: context.channel, makeHTTP).assumeIsolated().whenFailure { _ in
                context.close(promise: nil)
            }
        case .acceptor(let acceptor):
            // Nothing more is read until the handlers are there: what is kept meanwhile is what one read brought.
            self.isPassedOn = true
            try? context.channel.syncOptions?.setOption(.autoRead, value: false)
            acceptor.passOn(context.channel)
        }
    }

    /// Sets up HTTP behind this handler, and lets it have what has come.
    ///
    /// - Throws: in the future, `ChannelError.ioOnClosedChannel` if the connection has ended on the way.
    func becomeHTTP(
        on channel: any Channel,
        _ makeHTTP: (any Channel) -> EventLoopFuture<HTTP>
    ) -> EventLoopFuture<HTTP> {
        guard let context = self.context, !self.isDecided else {
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        let made = makeHTTP(channel)
        return made.assumeIsolated().flatMapThrowing { http in
            try self.addWatch(context)
            let bytes = self.head
            self.head = ByteBuffer()
            self.decide(.http(http))
            self.watch?.bytesCame()
            context.fireChannelRead(Self.wrapInboundOut(bytes))
            context.fireChannelReadComplete()
            if self.inputIsClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
            if self.isPassedOn { try context.channel.syncOptions?.setOption(.autoRead, value: true) }
            return http
        }.nonisolated()
    }

    private func addWatch(_ context: ChannelHandlerContext) throws {
        let watch = RequestWatch(idleTimeout: self.idleTimeout) { status in
            self.answer(HTTPAnswer.problem(status).bytes(), context)
        }
        let endpoints = EngineRequestHandler(engines: self.engines, direct: self.direct, gate: self.gate) { opening in
            self.open(opening, rest: ByteBuffer(), isBypassing: true, context)
        }
        let pipeline = context.pipeline.syncOperations
        let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
        try pipeline.addHandlers([watch, endpoints], position: .before(codec))
        self.watch = watch
    }

    // MARK: The handshake

    private func answerHandshake(headLength: Int, _ context: ChannelHandlerContext) {
        guard headLength <= UpgradeRequestHead.maxBytes else { return self.refuseLargeHead(context) }
        let bytes = self.head.getBytes(at: self.head.readerIndex, length: headLength - 4) ?? []
        let head: UpgradeRequestHead
        do {
            head = try UpgradeRequestHead(bytes)
        } catch .tooManyFields {
            return self.refuseLargeHead(context)
        } catch {
            // Not a handshake as it should be: what else it is, the HTTP parser says.
            return self.becomeHTTP(context)
        }
        let path = head.target.prefix { $0 != "?" }
        guard head.asksForWebSocket, head.connectionUpgrades,
            let engine = self.engines.first(where: { $0.serves(path: path) }),
            let loop = engine.loop(for: context.eventLoop)
        else { return self.becomeHTTP(context) }
        let request = EngineRequest(
            head: bytes,
            remoteAddress: context.channel.remoteAddress,
            receivedAt: .now(),
            isSecure: false
        )
        let outcome = WebSocketOpening.check(
            target: head.target,
            fields: .init(key: head.key, version: head.version, isUnfit: head.hasBody),
            isGet: true,
            loop: loop,
            request: { request }
        )
        switch outcome {
        case .open(let opening):
            self.head.moveReaderIndex(forwardBy: headLength)
            let rest = self.head
            self.head = ByteBuffer()
            self.decide(.done)
            self.open(opening, rest: rest, isBypassing: false, context)
        case .refuse(let answer):
            let cors = engine.shared.configuration.cors
            let fields = cors.fields(origin: request.header("Origin"), host: request.header("Host"))
            self.refuse(answer, context, fields: fields)
        }
    }

    /// Makes the connection a WebSocket, at once or in place of the HTTP that it was.
    ///
    /// - Parameter rest: bytes behind the handshake.
    private func open(
        _ opening: WebSocketOpening,
        rest: ByteBuffer,
        isBypassing: Bool,
        _ context: ChannelHandlerContext
    ) {
        let session: EngineSession?
        let upgrade: UpgradingSocket?
        let transport: WebSocketTransport
        let descriptor = self.descriptor(context)
        switch opening.purpose {
        case .newSession(let request):
            let new = EngineSession(sid: SessionID.random(), request: request, loop: opening.loop)
            transport = WebSocketTransport(owner: new, compression: opening.compression, descriptor: descriptor)
            (session, upgrade) = (new, nil)
        case .upgrade(let old):
            let new = UpgradingSocket(session: old, loop: opening.loop)
            transport = WebSocketTransport(owner: new, compression: opening.compression, descriptor: descriptor)
            (session, upgrade) = (nil, new)
        }
        let pipeline = context.pipeline.syncOperations
        let configuration = opening.loop.server.configuration
        do {
            try pipeline.addHandler(transport, position: .after(self))
            if isBypassing { try pipeline.addHandler(BypassedHTTP(), position: .after(transport)) }
            try Self.prepare(context.channel, configuration)
        } catch {
            return context.close(promise: nil)
        }
        self.watch?.stop()
        var fields = ""
        if let compression = opening.compression { fields = "Sec-WebSocket-Extensions: \(compression.field)\r\n" }
        if let session, let cookie = configuration.cookie {
            fields += "Set-Cookie: \(cookie.field(sid: session.sid))\r\n"
        }
        transport.begin(with: HandshakeAnswer.accept(key: opening.key, fields: fields))
        session?.open(over: transport)
        upgrade?.opened(transport, context.channel)
        // In a storm the peer gets on with it while we answer the others.
        transport.flushEarly()
        if rest.readableBytes > 0 {
            context.fireChannelRead(Self.wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        pipeline.removeHandler(self, promise: nil)
    }

    /// The connection's descriptor, if nothing stands between it and us: the acceptor's connections had no handler
    /// before this one.
    private func descriptor(_ context: ChannelHandlerContext) -> NIOBSDSocket.Handle? {
        guard case .acceptor = self.waiter else { return nil }
        return try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable {
            (handle: NIOBSDSocket.Handle) in handle
        }
    }

    /// What a channel that may live for hours should be: nothing held while idle, a bound on what waits.
    private static func prepare(_ channel: any Channel, _ configuration: EngineConfiguration) throws {
        let bound = configuration.maxPendingOutboundBytes
        guard let options = channel.syncOptions else { return }
        try options.setOption(.writeBufferWaterMark, value: .init(low: bound / 2, high: bound))
        try options.setOption(.recvAllocator, value: FreshReadBufferAllocator(capacity: 2048))
        try options.setOption(.allowRemoteHalfClosure, value: false)
    }

    private func refuseLargeHead(_ context: ChannelHandlerContext) {
        self.refuse(.problem(.requestHeaderFieldsTooLarge), context)
    }

    private func refuse(
        _ answer: HTTPAnswer,
        _ context: ChannelHandlerContext,
        fields: [(name: String, value: String)] = []
    ) {
        guard !self.isDecided else { return }
        self.decide(.done)
        self.answer(answer.bytes(fields), context)
    }

    private func answer(_ answer: ByteBuffer, _ context: ChannelHandlerContext) {
        let channel = context.channel
        context.writeAndFlush(Self.wrapOutboundOut(answer)).assumeIsolated().whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}
