import EngineIO
import NIOCore
import NIOHTTP1

/// Serves the endpoints' requests of one HTTP connection, and the direct routes; all others go on to Hummingbird, part
/// by part, when the gate lets them.
///
/// HTTP/1.1 allows requests to be sent without waiting for answers, and answers must keep their order. Requests of
/// ours are handled as they come, so that a POST behind a waiting poll is not held up, and their answers wait for
/// their turn. A request that is not ours waits until all of ours in front of it are answered. One that asks the gate is
/// kept here until it is whole and its turn has come. Where there is a gate, a connection has one request at a time, and
/// none while its client does not take what it was answered, so that nobody keeps a turn by not reading.
///
/// - Bounds: ``maxPipelined`` requests without an answer, then nothing is read; a body is at most `maxPayload`. Of the
///   body of a request that would ask the gate ``maxGathered`` bytes are kept: a larger one goes on without.
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
    enum Entry {
        /// How to give its turn back, if it has one.
        case other(leave: RequestGate.Leave?)
        case ours(HTTPExchange)
    }

    /// A request that asks the gate.
    private struct Gathered {
        let head: HTTPRequestHead
        var body = ByteBuffer()
    }

    /// What came after requests that are still here.
    private enum Trailing {
        case inputClosed
        case error(any Error)
    }

    /// Whose parts are coming in.
    enum Reading {
        case nothing
        case other
        case gathered
        case body(HTTPExchange)
        /// Its body, if there is one, is of no interest.
        case rest(HTTPExchange)
    }

    let engines: [EngineServer]
    let direct: DirectRoutes?
    private let gate: RequestGate?
    /// Makes the connection a WebSocket.
    private let open: (WebSocketOpening) -> Void
    private var context: ChannelHandlerContext?
    var entries = CircularBuffer<Entry>()
    var reading = Reading.nothing
    /// Parts from the first request on that must wait; see the type's comment.
    private var held = CircularBuffer<HTTPServerRequestPart>()
    private var trailing: [Trailing] = []
    private var gathered: Gathered?
    private var isInLine = false
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
    private var keepsSomething: Bool { self.hasOurs || self.gathered != nil || !self.held.isEmpty }

    private func engine(of head: HTTPRequestHead) -> EngineServer? {
        let path = head.uri.prefix { $0 != "?" }
        return self.engines.first { $0.serves(path: path) }
    }

    private func mustWait(_ part: HTTPServerRequestPart) -> Bool {
        if self.isInLine { return true }
        guard case .head(let head) = part else { return false }
        let isBusy =
            self.gate == nil ? self.hasOurs : !self.entries.isEmpty || self.context?.channel.isWritable == false
        return isBusy && self.engine(of: head) == nil && self.direct?.route(for: head) == nil
    }

    private func handle(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            if let engine = self.engine(of: head) { return self.begin(head, engine, context) }
            if let respond = self.direct?.route(for: head) { return self.begin(head, respond, context) }
            switch self.gate?.judge(head) {
            case .refused(let answer): return self.refuse(head, answer, context)
            case .asks:
                self.entries.append(.other(leave: nil))
                self.gathered = Gathered(head: head)
                self.reading = .gathered
            case .passes, nil:
                self.entries.append(.other(leave: nil))
                self.reading = .other
                context.fireChannelRead(Self.wrapInboundOut(part))
            }
        case .body(let bytes):
            switch self.reading {
            case .body(let exchange): self.take(bytes, exchange)
            case .gathered: self.gather(bytes, context)
            case .other: context.fireChannelRead(Self.wrapInboundOut(part))
            case .nothing, .rest: break
            }
        case .end:
            switch self.reading {
            case .body(let exchange), .rest(let exchange): self.finish(exchange)
            case .gathered: self.ask(context)
            case .other:
                self.reading = .nothing
                context.fireChannelRead(Self.wrapInboundOut(part))
            case .nothing: break
            }
        }
    }

    // MARK: The gate

    private func refuse(_ head: HTTPRequestHead, _ answer: DirectAnswer, _ context: ChannelHandlerContext) {
        let exchange = HTTPExchange(head, server: nil, handler: self, eventLoop: context.eventLoop)
        self.entries.append(.ours(exchange))
        self.reading = .rest(exchange)
        exchange.answer(HTTPAnswer(answer))
    }

    private func gather(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        self.gathered?.body.writeImmutableBuffer(bytes)
        if let gathered, gathered.body.readableBytes > Self.maxGathered {
            self.letGo(context, isWhole: false)
            self.reading = .other
        }
    }

    /// Asks for the turn of the request that has been gathered; it is whole.
    private func ask(_ context: ChannelHandlerContext) {
        self.reading = .nothing
        guard let gate, let gathered else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let entrance = gate.enter(gathered.head) { [eventLoop = context.eventLoop] refusal in
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
            self.refuseGathered(HTTPAnswer(answer), context)
        }
    }

    /// The one in line goes on, or is refused.
    private func decided(_ refusal: DirectAnswer?) {
        guard let context, self.isInLine else { return }
        self.isInLine = false
        if let refusal {
            self.refuseGathered(HTTPAnswer(refusal), context)
        } else {
            self.letGo(context)
            if !self.isInRead { context.fireChannelReadComplete() }
        }
        self.advance()
    }

    private func letGo(_ context: ChannelHandlerContext, isWhole: Bool = true) {
        guard let gathered else { return }
        self.gathered = nil
        context.fireChannelRead(Self.wrapInboundOut(.head(gathered.head)))
        if gathered.body.readableBytes > 0 { context.fireChannelRead(Self.wrapInboundOut(.body(gathered.body))) }
        if isWhole { context.fireChannelRead(Self.wrapInboundOut(.end(nil))) }
    }

    private func refuseGathered(_ answer: HTTPAnswer, _ context: ChannelHandlerContext) {
        guard let gathered else { return }
        self.gathered = nil
        let exchange = HTTPExchange(gathered.head, server: nil, handler: self, eventLoop: context.eventLoop)
        exchange.isComplete = true
        self.replaceLast(.ours(exchange))
        exchange.answer(answer)
    }

    /// What was gathered will not be whole any more.
    private func breakOff(_ context: ChannelHandlerContext) {
        self.isClosing = true
        self.refuseGathered(.problem(.badRequest), context)
    }

    private func replaceLast(_ entry: Entry) {
        self.entries[self.entries.index(before: self.entries.endIndex)] = entry
    }

    // MARK: Bodies for endpoints

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
            } else if self.held.isEmpty, !self.trailing.isEmpty, self.gathered != nil, !self.isInLine {
                self.breakOff(context)
            } else {
                break
            }
        }
        if hasForwarded, !self.isInRead { context.fireChannelReadComplete() }
        if !self.isOver, !self.keepsSomething { self.forwardTrailing(context) }
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
        guard case .other(let leave)? = self.entries.first else { return }
        switch Self.unwrapOutboundIn(data) {
        case .head(let head) where head.status.code >= 200:
            // What there was to do is done; how long the client takes over the answer is its own time.
            self.entries[self.entries.startIndex] = .other(leave: nil)
            leave?()
        case .end:
            self.entries.removeFirst()
            leave?()
            self.advance()
        case .head, .body: break
        }
    }

    // MARK: The connection's end

    /// Nothing that has no answer will get one: who waits for it is told.
    private func cutAll() {
        let entries = self.entries
        self.entries.removeAll()
        self.gathered = nil
        self.isInLine = false
        self.trailing.removeAll()
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

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.fireChannelWritabilityChanged()
        self.advance()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Hummingbird answers what is no HTTP, but it would do so out of turn.
        if self.isOver || self.hasOurs || self.isInLine { return context.close(promise: nil) }
        if self.gathered != nil { return self.breakOff(context) }
        if self.held.isEmpty { context.fireErrorCaught(error) } else { self.trailing.append(.error(error)) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard self.keepsSomething, !self.isOver else { return context.fireUserInboundEventTriggered(event) }
        if event as? ChannelEvent == .inputClosed {
            // The client has gone: a poll that waits is cut, and so is a place in line.
            if self.hasOurs || self.gathered != nil { return context.close(promise: nil) }
            self.trailing.append(.inputClosed)
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

    /// What Hummingbird may hear now that it knows of every request.
    private func forwardTrailing(_ context: ChannelHandlerContext) {
        let (trailing, quiesceEvent) = (self.trailing, self.quiesceEvent)
        (self.trailing, self.quiesceEvent) = ([], nil)
        for one in trailing {
            switch one {
            case .inputClosed: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            case .error(let error): context.fireErrorCaught(error)
            }
        }
        if let quiesceEvent { context.fireUserInboundEventTriggered(quiesceEvent) }
    }
}
