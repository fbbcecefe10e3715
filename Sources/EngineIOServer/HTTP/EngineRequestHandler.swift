import EngineIO
import Metrics
import NIOCore
import NIOHTTP1

/// Serves the endpoints' requests of one HTTP connection, and the direct routes; all others go on to Hummingbird, part
/// by part, when the gate lets them.
///
/// HTTP/1.1 allows requests to be sent without waiting for answers, and answers must keep their order. Requests of
/// ours are handled as they come, so that a POST behind a waiting poll is not held up, and their answers wait for
/// their turn. A request that is not ours waits until all of ours in front of it are answered, and one that asks the gate
/// is kept here until it is whole and its turn has come.
///
/// - Bounds: ``maxPipelined`` requests without an answer, then nothing is read; a body is at most `maxPayload`. Of a
///   request that asks the gate ``maxGathered`` are kept: a larger one asks before it is whole.
final class EngineRequestHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private static let maxPipelined = 16
    private static let maxGathered = 65_536
    /// How long a client may go on sending a body that we have answered already.
    private static let drainTime = TimeAmount.seconds(2)

    /// A request without a complete answer, in order of arrival.
    private enum Entry {
        /// What the gate wants to be told when it is over.
        case other(leave: RequestGate.Leave?)
        case ours(HTTPExchange)
    }

    /// Whose parts are coming in.
    private enum Reading {
        case nothing
        case other
        /// A request that will ask the gate.
        case gathered
        case body(HTTPExchange)
        /// Its body, if there is one, is of no interest.
        case rest(HTTPExchange)
    }

    private let engines: [EngineServer]
    private let direct: DirectRoutes?
    private let gate: RequestGate?
    /// Makes the connection a WebSocket.
    private let open: (WebSocketOpening) -> Void
    private var context: ChannelHandlerContext?
    private var entries = CircularBuffer<Entry>()
    private var reading = Reading.nothing
    /// Parts from the first request on that must wait; see the type's comment.
    private var held = CircularBuffer<HTTPServerRequestPart>()
    /// Parts of the last request, which asks the gate.
    private var gathered: [HTTPServerRequestPart] = []
    private var gatheredBytes = 0
    private var isInLine = false
    /// Came while a request was in line.
    private var inputIsClosed = false
    private var isInRead = false
    private var isAdvancing = false
    private var readIsPending = false
    /// The connection ends with the requests that it has.
    private var isClosing = false
    /// The last answer is written.
    private var isOver = false
    private var quiesceEvent: Any?

    init(
        engines: [EngineServer],
        direct: DirectRoutes? = nil,
        gate: RequestGate? = nil,
        open: @escaping (WebSocketOpening) -> Void
    ) {
        self.engines = engines
        self.direct = direct
        self.gate = gate
        self.open = open
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.cutAll()
        self.context = nil
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = Self.unwrapInboundIn(data)
        self.isInRead = true
        if self.isOver {
            if case .end = part { context.close(promise: nil) }
        } else if !self.held.isEmpty || self.mustWait(part) {
            self.held.append(part)
        } else {
            self.handle(part, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.isInRead = false
        self.advance()
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if self.isFull, !self.isOver { self.readIsPending = true } else { context.read() }
    }

    private var isFull: Bool { !self.held.isEmpty || self.entries.count >= Self.maxPipelined }

    private var hasOurs: Bool {
        self.entries.contains { if case .ours = $0 { true } else { false } }
    }

    /// Whether there is something that Hummingbird knows nothing of.
    private var keepsSomething: Bool { self.hasOurs || !self.gathered.isEmpty }

    private func engine(of head: HTTPRequestHead) -> EngineServer? {
        let path = head.uri.prefix { $0 != "?" }
        return self.engines.first { $0.serves(path: path) }
    }

    private func mustWait(_ part: HTTPServerRequestPart) -> Bool {
        if self.isInLine { return true }
        guard case .head(let head) = part, self.hasOurs else { return false }
        return self.engine(of: head) == nil && self.direct?.route(for: head) == nil
    }

    private func handle(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            if let engine = self.engine(of: head) { return self.begin(head, engine, context) }
            if let respond = self.direct?.route(for: head) { return self.begin(head, respond, context) }
            switch self.gate?.judge(head) {
            case .refused(let answer): return self.refuse(head, answer, context)
            case .asks: self.reading = .gathered
            case .passes, nil: self.reading = .other
            }
            self.entries.append(.other(leave: nil))
        case .body(let bytes):
            if case .body(let exchange) = self.reading { self.take(bytes, exchange) }
        case .end:
            switch self.reading {
            case .body(let exchange), .rest(let exchange): self.finish(exchange)
            case .nothing, .other, .gathered: break
            }
        }
        switch self.reading {
        case .gathered: self.gather(part, context)
        case .other:
            if case .end = part { self.reading = .nothing }
            context.fireChannelRead(Self.wrapInboundOut(part))
        case .nothing, .body, .rest: break
        }
    }

    // MARK: The gate

    private func refuse(_ head: HTTPRequestHead, _ answer: DirectAnswer, _ context: ChannelHandlerContext) {
        let exchange = HTTPExchange(head, server: nil, handler: self, eventLoop: context.eventLoop)
        self.entries.append(.ours(exchange))
        self.reading = .rest(exchange)
        exchange.answer(HTTPAnswer(status: answer.status, body: answer.body, fields: answer.fields))
    }

    private func gather(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        self.gathered.append(part)
        switch part {
        case .head: break
        case .body(let bytes):
            self.gatheredBytes += bytes.readableBytes
            if self.gatheredBytes > Self.maxGathered { self.ask(context) }
        case .end: self.ask(context)
        }
    }

    /// Asks for the turn of the request that has been gathered.
    private func ask(_ context: ChannelHandlerContext) {
        guard let gate, case .head(let head)? = self.gathered.first else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let entrance = gate.enter(head) { [eventLoop = context.eventLoop] refusal in
            eventLoop.execute { bound.value.decided(refusal) }
        }
        switch entrance {
        case .goes(let leave):
            self.replaceLast(.other(leave: leave))
            self.letGo(context)
        case .waits(let leave):
            self.replaceLast(.other(leave: leave))
            self.isInLine = true
        case .refused(let answer):
            self.refuseGathered(answer, context)
        }
    }

    /// The one in line goes on, or is refused.
    private func decided(_ refusal: DirectAnswer?) {
        guard let context, self.isInLine else { return }
        self.isInLine = false
        if let refusal {
            self.refuseGathered(refusal, context)
        } else {
            self.letGo(context)
            if !self.isInRead { context.fireChannelReadComplete() }
        }
        self.advance()
    }

    private func letGo(_ context: ChannelHandlerContext) {
        for part in self.takeGathered() { context.fireChannelRead(Self.wrapInboundOut(part)) }
        if self.inputIsClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
    }

    private func refuseGathered(_ answer: DirectAnswer, _ context: ChannelHandlerContext) {
        guard case .head(let head)? = self.takeGathered().first else { return }
        let exchange = HTTPExchange(head, server: nil, handler: self, eventLoop: context.eventLoop)
        self.replaceLast(.ours(exchange))
        if case .other = self.reading { self.reading = .rest(exchange) } else { exchange.isComplete = true }
        if self.inputIsClosed { self.isClosing = true }
        exchange.answer(HTTPAnswer(status: answer.status, body: answer.body, fields: answer.fields))
    }

    /// What comes of it after this, if it is not whole, goes the same way.
    private func takeGathered() -> [HTTPServerRequestPart] {
        let parts = self.gathered
        (self.gathered, self.gatheredBytes) = ([], 0)
        if case .end? = parts.last { self.reading = .nothing } else { self.reading = .other }
        return parts
    }

    private func replaceLast(_ entry: Entry) {
        self.entries[self.entries.index(before: self.entries.endIndex)] = entry
    }

    // MARK: Endpoints and direct routes

    /// The head of a request for a direct route.
    private func begin(
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
    private func begin(_ head: HTTPRequestHead, _ engine: EngineServer, _ context: ChannelHandlerContext) {
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

    private func take(_ bytes: ByteBuffer, _ exchange: HTTPExchange) {
        guard exchange.answer == nil else { return }
        guard exchange.body.readableBytes + bytes.readableBytes <= exchange.maxPayload else {
            exchange.body = ByteBuffer()
            exchange.session?.onLoop { $0.postDropped(exchange) }
            return exchange.answer(.empty(.payloadTooLarge))
        }
        exchange.body.writeImmutableBuffer(bytes)
    }

    /// The end of a request for an endpoint.
    private func finish(_ exchange: HTTPExchange) {
        exchange.isComplete = true
        if case .body = self.reading, exchange.answer == nil, let session = exchange.session {
            let packets = exchange.packets()
            session.onLoop { $0.postEnded(exchange, packets) }
        }
        self.reading = .nothing
        self.advance()
    }

    // MARK: Answers

    /// One of our requests has its answer.
    func answered() { self.advance() }

    /// Writes every answer whose turn it is, then lets requests of others go on.
    private func advance() {
        guard let context = self.context, !self.isAdvancing else { return }
        self.isAdvancing = true
        defer { self.isAdvancing = false }
        var hasForwarded = false
        while !self.isOver {
            if case .ours(let exchange)? = self.entries.first, self.isReady(exchange) {
                self.entries.removeFirst()
                if let opening = exchange.opening {
                    self.isOver = true
                    exchange.end()
                    return self.open(opening)
                }
                if let answer = exchange.answer { self.write(answer, exchange, context) }
            } else if let part = self.held.first, !self.mustWait(part) {
                self.held.removeFirst()
                self.handle(part, context)
                hasForwarded = true
            } else {
                break
            }
        }
        if hasForwarded, !self.isInRead { context.fireChannelReadComplete() }
        if self.isClosing, !self.keepsSomething { self.forwardQuiescing(context) }
        if self.readIsPending, self.isOver || !self.isFull {
            self.readIsPending = false
            context.read()
        }
    }

    /// Whether a request may be answered. If the body came with its head, that is read first: then the connection can
    /// be kept.
    private func isReady(_ exchange: HTTPExchange) -> Bool {
        if exchange.isComplete { return exchange.answer != nil || exchange.opening != nil }
        return exchange.answer != nil && !self.isInRead && self.held.isEmpty
    }

    private func write(_ answer: HTTPAnswer, _ exchange: HTTPExchange, _ context: ChannelHandlerContext) {
        exchange.end()
        let closes = self.isClosing || !exchange.isComplete || !exchange.keepsConnection
        let (head, body) = exchange.response(answer, closes: closes)
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        if body.readableBytes > 0 { context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        guard closes else { return context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil) }
        self.isOver = true
        self.held.removeAll()
        self.cutAll()
        let written = context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).assumeIsolated()
        if exchange.isComplete {
            written.whenComplete { _ in self.context?.close(promise: nil) }
        } else {
            // Closed now, the answer might be lost with what the client is still sending.
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.drainTime) { self.context?.close(promise: nil) }
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // After our last answer there is nothing to say; before it, the turn is Hummingbird's.
        guard !self.isOver else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        context.write(data, promise: promise)
        guard case .end = Self.unwrapOutboundIn(data), case .other(let leave)? = self.entries.first else { return }
        self.entries.removeFirst()
        leave?()
        self.advance()
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

    // MARK: The connection's end

    /// Nothing that has no answer will get one: who waits for it is told.
    private func cutAll() {
        let entries = self.entries
        self.entries.removeAll()
        self.gathered.removeAll()
        self.isInLine = false
        for entry in entries {
            switch entry {
            case .ours(let exchange):
                exchange.end()
                if exchange.answer == nil, let session = exchange.session { session.onLoop { $0.cut(exchange) } }
            case .other(let leave): leave?()
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.isOver = true
        self.cutAll()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Hummingbird answers what is no HTTP, but it would do so out of turn.
        if self.isOver || self.keepsSomething { context.close(promise: nil) } else { context.fireErrorCaught(error) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard self.keepsSomething, !self.isOver else { return context.fireUserInboundEventTriggered(event) }
        if event as? ChannelEvent == .inputClosed {
            // The client has gone: a poll that waits is cut. Who has asked for something else may wait for the answer.
            if self.isInLine, !self.hasOurs { self.inputIsClosed = true } else { context.close(promise: nil) }
        } else if event is ChannelShouldQuiesceEvent {
            self.isClosing = true
            self.quiesceEvent = event
            for case .ours(let exchange) in self.entries where exchange.head.method == .GET {
                exchange.session?.onLoop { $0.close(.serverShuttingDown) }
            }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func forwardQuiescing(_ context: ChannelHandlerContext) {
        guard let event = self.quiesceEvent else { return }
        self.quiesceEvent = nil
        context.fireUserInboundEventTriggered(event)
    }
}
