import EngineIO
import Metrics
import NIOCore
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
    private let promise: EventLoopPromise<FirstRequestOutcome<HTTP>>
    private let makeHTTP: (any Channel) -> EventLoopFuture<HTTP>
    private var head = ByteBuffer()
    private var timeout: Scheduled<Void>?
    private var isDecided = false
    /// Of a connection that is HTTP.
    private var watch: RequestWatch?

    init(
        engines: [EngineServer],
        promise: EventLoopPromise<FirstRequestOutcome<HTTP>>,
        makeHTTP: @escaping (any Channel) -> EventLoopFuture<HTTP>
    ) {
        self.engines = engines
        self.promise = promise
        self.makeHTTP = makeHTTP
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.timeout = context.eventLoop.assumeIsolated().scheduleTask(in: Self.headTimeout) {
            self.refuse(HandshakeAnswer.response(status: RequestWatch.tooSlow, body: "{}"), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.watch = nil
        self.timeout?.cancel()
        if !self.isDecided { self.decide(.done) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isDecided else {
            self.watch?.bytesCame()
            return context.fireChannelRead(data)
        }
        var bytes = Self.unwrapInboundIn(data)
        if self.head.readableBytes == 0 { self.head = bytes } else { self.head.writeBuffer(&bytes) }
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
        if !self.isDecided, event is ChannelShouldQuiesceEvent || event as? ChannelEvent == .inputClosed {
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
        self.timeout?.cancel()
        self.timeout = nil
        self.promise.succeed(outcome)
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
        let bytes = self.head
        self.head = ByteBuffer()
        self.makeHTTP(context.channel).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let http):
                do {
                    try self.addWatch(context)
                } catch {
                    return context.close(promise: nil)
                }
                self.decide(.http(http))
                self.watch?.bytesCame()
                context.fireChannelRead(Self.wrapInboundOut(bytes))
                context.fireChannelReadComplete()
            case .failure:
                context.close(promise: nil)
            }
        }
    }

    private func addWatch(_ context: ChannelHandlerContext) throws {
        let watch = RequestWatch { status in
            self.answer(HandshakeAnswer.response(status: status, body: "{}"), context)
        }
        let pipeline = context.pipeline.syncOperations
        let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
        try pipeline.addHandler(watch, position: .after(codec))
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
            return self.refuse(HandshakeAnswer.refuse(.badRequest), context)
        }
        let path = head.target.prefix { $0 != "?" }
        guard head.asksForWebSocket, head.connectionUpgrades,
            let engine = self.engines.first(where: { $0.serves(path: path) }),
            let loop = engine.loop(for: context.eventLoop)
        else { return self.becomeHTTP(context) }
        guard !head.hasBody, let version = head.version, let key = head.key, key.utf8.count == 24 else {
            return self.refuse(HandshakeAnswer.refuse(.badRequest), context)
        }
        guard version == "13" else { return self.refuse(HandshakeAnswer.unsupportedVersion, context) }
        let request = EngineRequest(
            head: bytes,
            remoteAddress: context.channel.remoteAddress,
            receivedAt: .now(),
            isSecure: false
        )
        if let answer = Self.refusal(of: request, engine.shared) {
            EngineMetrics.shared.refused.increment()
            return self.refuse(answer, context)
        }
        self.upgrade(request, key: key, headLength: headLength, loop, context)
    }

    /// - Source: Engine.IO protocol 4, "Handshake"; the order of the checks is the reference server's.
    private static func refusal(of request: EngineRequest, _ server: EngineServer.Shared) -> ByteBuffer? {
        guard request.query("transport") == "websocket" else { return HandshakeAnswer.refuse(.unknownTransport) }
        if request.query("sid") != nil { return HandshakeAnswer.refuse(.unknownSession) }
        guard request.query("EIO") == "4" else { return HandshakeAnswer.refuse(.unsupportedProtocol) }
        return server.configuration.allowRequest(request).map { HandshakeAnswer.refuse($0) }
    }

    private func upgrade(
        _ request: EngineRequest,
        key: String,
        headLength: Int,
        _ loop: EngineLoop,
        _ context: ChannelHandlerContext
    ) {
        let session = EngineSession(sid: SessionID.random(), request: request, loop: loop)
        let agreement = loop.compression?.agree(with: request)
        let transport = WebSocketTransport(session: session, compression: agreement)
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(transport, position: .after(self))
            try Self.prepare(context.channel, loop.server.configuration)
        } catch {
            return context.close(promise: nil)
        }
        self.head.moveReaderIndex(forwardBy: headLength)
        let rest = self.head
        self.head = ByteBuffer()
        self.decide(.done)
        let fields = agreement.map { "Sec-WebSocket-Extensions: \($0.field)\r\n" } ?? ""
        context.write(Self.wrapOutboundOut(HandshakeAnswer.accept(key: key, fields: fields)), promise: nil)
        session.open(over: transport)
        if rest.readableBytes > 0 {
            context.fireChannelRead(Self.wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        pipeline.removeHandler(self, promise: nil)
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
        self.refuse(HandshakeAnswer.response(status: RequestWatch.tooLarge, body: "{}"), context)
    }

    private func refuse(_ answer: ByteBuffer, _ context: ChannelHandlerContext) {
        guard !self.isDecided else { return }
        self.decide(.done)
        self.answer(answer, context)
    }

    private func answer(_ answer: ByteBuffer, _ context: ChannelHandlerContext) {
        let channel = context.channel
        context.writeAndFlush(Self.wrapOutboundOut(answer)).assumeIsolated().whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}
