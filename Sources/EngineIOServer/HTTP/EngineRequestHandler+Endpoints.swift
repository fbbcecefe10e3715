import EngineIO
import Metrics
import NIOCore
import NIOHTTP1

/// What is done with a request for an endpoint or a direct route.
extension EngineRequestHandler {
    /// The head of a request for a direct route.
    func begin(
        _ head: HTTPRequestHead,
        _ respond: @escaping DirectRoutes.Respond,
        _ context: ChannelHandlerContext
    ) {
        let exchange = HTTPExchange(head, server: nil, handler: self, eventLoop: context.eventLoop)
        self.entries.append(.ours(exchange))
        self.reading = .rest(exchange)
        self.direct?.begin(exchange, respond, on: context.eventLoop)
    }

    /// The head of a request for an endpoint.
    func begin(_ head: HTTPRequestHead, _ engine: EngineServer, _ context: ChannelHandlerContext) {
        let exchange = HTTPExchange(
            head,
            server: engine.shared,
            handler: self,
            eventLoop: context.eventLoop
        )
        self.entries.append(.ours(exchange))
        self.reading = .rest(exchange)
        guard head.method != .OPTIONS else { return exchange.answer(exchange.preflight) }
        guard let loop = engine.loop(for: context.eventLoop) else { return exchange.answer(.refusal(.badRequest)) }
        if head.asksForWebSocket { return self.check(exchange, loop, context) }
        let query = EngineQuery(target: head.uri)
        do {
            switch try engine.shared.verify(query, isGet: head.method == .GET, isUpgrade: false) {
            case .handshake: self.handshake(exchange, query, loop, context)
            case .session(let session): self.request(exchange, of: session, context)
            }
        } catch {
            EngineMetrics.shared.refused.increment()
            exchange.answer(.refusal(error))
        }
    }

    private func handshake(
        _ exchange: HTTPExchange,
        _ query: EngineQuery,
        _ loop: EngineLoop,
        _ context: ChannelHandlerContext
    ) {
        let request = EngineRequest(exchange.head, context.channel)
        if let answer = loop.server.refusal(of: request, query) { return exchange.answer(answer) }
        let session = EngineSession(sid: SessionID.random(), request: request, loop: loop)
        let transport = PollingTransport(session: session)
        if let cookie = loop.server.configuration.cookie { exchange.cookie = cookie.field(sid: session.sid) }
        exchange.session = session
        transport.handshake(exchange)
        session.open(over: transport)
    }

    private func request(_ exchange: HTTPExchange, of session: EngineSession, _ context: ChannelHandlerContext) {
        exchange.session = session
        switch exchange.head.method {
        case .GET:
            session.onLoop { $0.poll(exchange) }
        case .POST where exchange.declaresTooMuch:
            exchange.answer(.empty(.payloadTooLarge))
        case .POST where exchange.hasCodedBody:
            exchange.answer(.empty(.unsupportedMediaType))
        case .POST:
            self.reading = .body(exchange)
            session.onLoop { $0.postBegan(exchange) }
            self.invite(exchange, context)
        default:
            exchange.answer(.refusal(.badRequest))
        }
    }

    /// Some clients wait for a word before they send a large body.
    private func invite(_ exchange: HTTPExchange, _ context: ChannelHandlerContext) {
        guard self.entries.count == 1, exchange.answer == nil,
            exchange.head.headers.first(name: "expect")?.lowercased() == "100-continue"
        else { return }
        let head = HTTPResponseHead(version: exchange.head.version, status: .continue)
        context.writeAndFlush(Self.wrapOutboundOut(.head(head)), promise: nil)
    }

    // MARK: WebSocket

    private func check(_ exchange: HTTPExchange, _ loop: EngineLoop, _ context: ChannelHandlerContext) {
        let head = exchange.head
        let outcome = WebSocketOpening.check(
            target: head.uri,
            fields: head.webSocketFields,
            isGet: head.method == .GET,
            loop: loop,
            request: { EngineRequest(head, context.channel) }
        )
        switch outcome {
        case .open(let opening): exchange.opening = opening
        case .refuse(let answer): exchange.answer(answer)
        }
    }
}
