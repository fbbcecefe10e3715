import EngineIO
import Logging
import Metrics
import NIOCore

/// The one handler of an upgraded connection: WebSocket frames in and out, nothing else left in its pipeline.
///
/// Reads are handled when the read is complete, because only then is the read buffer ours alone and frames can be
/// unmasked in place. Touched on its loop only, which is what makes it Sendable.
final class WebSocketTransport: ChannelInboundHandler, EngineTransport, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes written in one tick that are flushed before its end, so that a burst alone does not look like a
    /// peer that does not read.
    private static let earlyFlushBytes = 64 * 1024
    /// How long a peer may take to answer our close frame.
    private static let closeTimeout = TimeAmount.seconds(2)

    /// Whom packets go to: the session, or the upgrade of one until it is complete.
    var owner: any WebSocketOwner
    private var context: ChannelHandlerContext?
    private var decoder: WebSocketDecoder
    /// The longest message that is compressed for this peer; 0 if compression was not negotiated.
    private let maxCompressedBytes: Int
    /// What was written in this tick.
    private var output = SocketOutput()
    private var route: Route
    private var isDirty = false
    /// Frames are being handed to the channel: what can leave leaves first, then we judge whether the peer is slow.
    private var isSending = false
    /// Our close frame is out, or the connection is being dropped: nothing more is read or written.
    private var isClosing = false
    /// A frame is being handled; see ``decode(_:)``.
    private var isDecoding = false

    /// How bytes leave.
    private enum Route {
        /// Past the channel, which holds nothing: to this descriptor.
        case direct(NIOBSDSocket.Handle)
        /// Through the channel, until it has sent what it holds; then to the descriptor again.
        case waiting(NIOBSDSocket.Handle)
        case channel
    }

    /// - Parameters:
    ///   - compression: what was negotiated, only on an endpoint that has it on.
    ///   - descriptor: the connection's, if no handler changes the bytes between it and this one.
    init(
        owner: any WebSocketOwner,
        compression: PerMessageDeflate.Agreement? = nil,
        descriptor: NIOBSDSocket.Handle? = nil
    ) {
        self.owner = owner
        self.route = descriptor.map { .waiting($0) } ?? .channel
        self.maxCompressedBytes = compression?.maxCompressedBytes ?? 0
        self.decoder = WebSocketDecoder(
            maxMessageBytes: owner.loop.server.configuration.maxPayload,
            inflater: compression == nil ? nil : owner.loop.compression?.inflater
        )
    }

    // MARK: EngineTransport

    var hasUnsentBytes: Bool {
        if case .direct = self.route { false } else { self.bytesInChannel > 0 }
    }

    var unsentBytes: Int {
        if case .direct = self.route { self.output.byteCount } else { self.output.byteCount + self.bytesInChannel }
    }

    private var bytesInChannel: Int {
        guard let options = self.context?.channel.syncOptions else { return 0 }
        return (try? options.getOption(.bufferedWritableBytes)) ?? 0
    }

    func send(_ message: EngineMessage) {
        if self.maxCompressedBytes > 0, let compression = self.owner.loop.compression {
            self.write(compression.frame(of: message, maxCompressedBytes: self.maxCompressedBytes))
        } else {
            self.write(message.frame)
        }
    }

    func close(_ reason: EngineCloseReason) {
        if reason == .slowConsumer {
            // Its way is full: a close frame would never arrive.
            self.isClosing = true
            self.context?.close(promise: nil)
        } else {
            self.startClosing(code: reason.webSocketCode)
        }
    }

    // MARK: Writing

    /// The answer to the handshake, in front of everything.
    func begin(with answer: ByteBuffer) { self.write(answer) }

    private func write(_ frame: ByteBuffer) {
        guard let context = self.context, !self.isClosing else { return }
        self.output.append(frame)
        if !self.isDirty {
            self.isDirty = true
            self.owner.loop.markDirty(self)
        } else if self.output.byteCount > Self.earlyFlushBytes {
            self.sendOutput(context)
            self.closeIfSlow(context)
        }
    }

    func flushEarly() {
        if let context = self.context, !self.isClosing { self.sendOutput(context) }
    }

    /// The loop's tick is over.
    func flush() {
        self.isDirty = false
        guard let context = self.context else { return }
        self.sendOutput(context)
        if case .direct = self.route { return }
        self.closeIfSlow(context)
    }

    private func sendOutput(_ context: ChannelHandlerContext) {
        guard !self.output.isEmpty else { return }
        let output = self.output
        self.output = SocketOutput()
        var sent = 0
        if case .waiting(let descriptor) = self.route, self.bytesInChannel == 0 { self.route = .direct(descriptor) }
        // A descriptor is used again by the system as soon as it is closed, so the channel is asked each time.
        if case .direct(let descriptor) = self.route, context.channel.isActive {
            sent = self.owner.loop.sender.send(output, to: descriptor)
            if sent == output.byteCount { return }
            self.route = .waiting(descriptor)
        }
        self.isSending = true
        for frame in output.rest(after: sent) { context.write(Self.wrapOutboundOut(frame), promise: nil) }
        context.flush()
        self.isSending = false
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !self.isSending { self.closeIfSlow(context) }
        context.fireChannelWritabilityChanged()
    }

    private func closeIfSlow(_ context: ChannelHandlerContext) {
        guard !context.channel.isWritable, context.channel.isActive, !self.isClosing else { return }
        EngineMetrics.shared.slowConsumers.increment()
        self.owner.close(.slowConsumer)
    }

    /// Sends a close frame and waits a moment for the peer's; then the connection is dropped.
    ///
    /// - Parameter endsOutput: also says that nothing else comes. For a peer that broke the protocol: its close frame
    ///   will not be understood, so it is its end of the connection that is waited for.
    private func startClosing(code: UInt16, endsOutput: Bool = false) {
        guard let context = self.context, !self.isClosing else { return }
        self.isClosing = true
        self.sendOutput(context)
        context.writeAndFlush(Self.wrapOutboundOut(.closeFrame(code: code)), promise: nil)
        // Not through the channel: handlers behind this one may have nothing to say about it any more.
        if endsOutput { context.close(mode: .output, promise: nil) }
        context.eventLoop.scheduleTask(in: Self.closeTimeout) { self.context?.close(promise: nil) }
    }

    // MARK: Reading

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.owner.loop.server.transportOpened()
    }

    /// The channel is closed: nobody removes this handler from one that is open.
    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.owner.loop.server.transportClosed()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.decoder.append(Self.unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.decode(context)
    }

    /// Handling a frame may write, a write may fail, and that ends the channel within the call: so this is reached
    /// again while the decoder is in use. The outer call then stops at the next frame.
    private func decode(_ context: ChannelHandlerContext) {
        guard !self.isDecoding else { return }
        self.isDecoding = true
        defer { self.isDecoding = false }
        do {
            try self.decoder.decode { event in
                self.handle(event, context)
                return self.context != nil
            }
        } catch {
            EngineMetrics.shared.protocolErrors.increment()
            guard !self.isClosing else { return }
            self.startClosing(code: error.code, endsOutput: true)
            self.owner.close(error.code == WebSocketFailure.tooLarge ? .messageTooLarge : .parseError)
        }
    }

    private func handle(_ event: WebSocketEvent, _ context: ChannelHandlerContext) {
        if self.isClosing {
            if case .close = event { context.close(promise: nil) }
            return
        }
        switch event {
        case .text(let bytes):
            EngineMetrics.shared.messagesReceived.increment()
            do {
                self.owner.receive(try EnginePacket(text: bytes))
            } catch {
                EngineMetrics.shared.protocolErrors.increment()
                self.owner.close(.parseError)
            }
        case .binary(let bytes):
            EngineMetrics.shared.messagesReceived.increment()
            self.owner.receive(.binary(bytes))
        case .ping(let payload):
            self.write(.controlFrame(opcode: 0xA, payload: payload))
        case .pong:
            break
        case .close(let code):
            self.isClosing = true
            self.sendOutput(context)
            context.writeAndFlush(Self.wrapOutboundOut(.closeFrame(code: code ?? 1000)), promise: nil)
            self.owner.close(.transportClose)
            context.close(promise: nil)
        }
    }

    // MARK: The channel's end

    func channelInactive(context: ChannelHandlerContext) {
        if !self.isClosing { self.decode(context) }
        self.isClosing = true
        self.owner.close(.transportClose)
        self.context = nil
        self.output = SocketOutput()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.owner.loop.server.logger.trace("connection failed", metadata: ["error": "\(error)"])
        self.isClosing = true
        self.owner.close(.transportError)
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            self.owner.close(.serverShuttingDown)
        case ChannelEvent.inputClosed:
            if !self.isClosing { self.decode(context) }
            self.isClosing = true
            self.owner.close(.transportClose)
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }
}

/// Reads into a buffer of its own each time and keeps none: an idle connection then holds no read buffer, and a
/// buffer that was read belongs to its handler alone.
struct FreshReadBufferAllocator: RecvByteBufferAllocator {
    let capacity: Int

    mutating func record(actualReadBytes: Int) -> Bool { false }
    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: self.capacity) }
    func nextBufferSize() -> Int? { nil }
}
