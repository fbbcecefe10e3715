import NIOCore
import NIOHTTP1

/// Times the requests of a connection that is HTTP and the pauses between them, and answers heads that are too large.
///
/// Stands behind the HTTP decoder, where heads and ends are seen; who stands in front of it tells of bytes. A request
/// that comes in one read, as nearly all do, costs no timer.
///
/// - Bounds: 10 s from a head's first byte to its last, 15 s more for the body (408). A connection without a request
///   is closed after `idleTimeout`.
final class RequestWatch: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    static let headTimeout = TimeAmount.seconds(10)
    private static let bodyTimeout = TimeAmount.seconds(15)

    private enum Phase { case idle, head, body }

    private var phase = Phase.idle
    private var timeout: Scheduled<Void>?
    /// Writes an answer of this status past the HTTP pipeline and closes.
    private let refuse: (HTTPResponseStatus) -> Void

    private let idleTimeout: TimeAmount?
    private var idleTimer: Scheduled<Void>?
    private var idleSince = NIODeadline.now()
    private var requestsInProgress = 0
    private var isStopped = false

    init(idleTimeout: TimeAmount? = nil, refuse: @escaping (HTTPResponseStatus) -> Void) {
        self.idleTimeout = idleTimeout
        self.refuse = refuse
    }

    /// The connection is no longer HTTP.
    func stop() {
        self.isStopped = true
        self.enter(.idle)
        self.idleTimer?.cancel()
        self.idleTimer = nil
    }

    func bytesCame() {
        if self.phase == .idle { self.phase = .head }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head:
            self.requestsInProgress += 1
            self.enter(.body)
        case .body: break
        case .end: self.enter(.idle)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.phase != .idle, self.timeout == nil, !self.isStopped {
            let limit = self.phase == .head ? Self.headTimeout : Self.bodyTimeout
            self.timeout = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { self.refuse(.requestTimeout) }
        }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error as? HTTPParserError == .headerOverflow {
            self.refuse(.requestHeaderFieldsTooLarge)
        } else if error is HTTPParserError, self.requestsInProgress <= 0 {
            self.refuse(.badRequest)
        } else {
            // In the midst of a request the route that reads its body says so; behind one, its answer comes first.
            context.fireErrorCaught(error)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.stop() }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(data, promise: promise)
        guard case .end = Self.unwrapOutboundIn(data) else { return }
        self.requestsInProgress -= 1
        self.idleSince = .now()
        if self.idleTimer == nil, let limit = self.idleTimeout { self.watchIdle(context, in: limit) }
    }

    /// One timer for all pauses: it looks how long the present one is.
    private func watchIdle(_ context: ChannelHandlerContext, in time: TimeAmount) {
        guard !self.isStopped, let limit = self.idleTimeout else { return }
        self.idleTimer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.idleTimer = nil
            // Busy: the end of the answer looks again.
            guard self.requestsInProgress <= 0, self.phase == .idle else { return }
            let idle = NIODeadline.now() - self.idleSince
            if idle >= limit { context.close(promise: nil) } else { self.watchIdle(context, in: limit - idle) }
        }
    }

    private func enter(_ phase: Phase) {
        self.phase = phase
        self.timeout?.cancel()
        self.timeout = nil
    }
}
