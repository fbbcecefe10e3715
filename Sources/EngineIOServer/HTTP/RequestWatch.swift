import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Times the requests of a connection that is HTTP, and answers heads that are too large.
///
/// Stands behind the HTTP decoder, where heads and ends are seen; who stands in front of it tells of bytes. A request
/// that comes in one read, as nearly all do, costs no timer.
///
/// - Bounds: 10 s from a head's first byte to its last, 15 s more for the body (408).
final class RequestWatch: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    static let headTimeout = TimeAmount.seconds(10)
    private static let bodyTimeout = TimeAmount.seconds(15)
    static let tooSlow = "408 Request Timeout"
    static let tooLarge = "431 Request Header Fields Too Large"

    private enum Phase { case idle, head, body }

    private var phase = Phase.idle
    private var timeout: Scheduled<Void>?
    /// Writes an answer of this status past the HTTP pipeline and closes.
    private let refuse: (String) -> Void

    init(refuse: @escaping (String) -> Void) { self.refuse = refuse }

    func bytesCame() {
        if self.phase == .idle { self.phase = .head }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head: self.enter(.body)
        case .body: break
        case .end: self.enter(.idle)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.phase != .idle, self.timeout == nil {
            let limit = self.phase == .head ? Self.headTimeout : Self.bodyTimeout
            self.timeout = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { self.refuse(Self.tooSlow) }
        }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error as? HTTPParserError == .headerOverflow {
            self.refuse(Self.tooLarge)
        } else {
            context.fireErrorCaught(error)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.enter(.idle) }

    private func enter(_ phase: Phase) {
        self.phase = phase
        self.timeout?.cancel()
        self.timeout = nil
    }
}
