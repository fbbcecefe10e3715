import NIOCore

/// What a connection is used for once it is signed in. All calls come on its event loop, in order.
protocol RESPReceiver: AnyObject {
    func received(_ reply: RESPValue)
    /// All replies of one read were delivered.
    func receivedAll()
    /// The last call: the connection is gone, or must go because of `error`.
    func closed(_ error: RedisError)
}

/// Turns bytes into replies: first for the handshake, then for the receiver that took the connection over.
final class RESPChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var reader: RESPReader
    private var handshake: Handshake?
    private let ready: EventLoopPromise<String?>
    private var receiver: (any RESPReceiver)?
    private var failure: RedisError?
    private var hasEnded = false
    private var signInTimeout: Scheduled<Void>?
    private let timeout: TimeAmount

    /// - Parameter ready: succeeds with the server's replication id, if the purpose asks for it.
    init(
        configuration: RedisConfiguration,
        purpose: Handshake.Purpose,
        limits: RESPReader.Limits,
        ready: EventLoopPromise<String?>
    ) {
        reader = RESPReader(limits: limits)
        handshake = Handshake(configuration, for: purpose)
        timeout = TimeAmount(configuration.connectTimeout)
        self.ready = ready
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { signIn(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        signIn(context)
        context.fireChannelActive()
    }

    private func signIn(_ context: ChannelHandlerContext) {
        guard let handshake else { return }
        do {
            let bytes = try CommandFormatter.format(handshake.commands)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        } catch {
            fail(error, context)
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        signInTimeout = context.eventLoop.scheduleTask(in: timeout) {
            let (handler, context) = bound.value
            handler.fail(RedisError(.connection, "Redis did not finish the sign-in in time"), context)
        }
    }

    /// Called once, on the loop, after `ready` succeeded.
    func attach(_ receiver: any RESPReceiver) {
        if hasEnded {
            receiver.closed(failure ?? Self.lost)
        } else {
            self.receiver = receiver
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        do {
            try reader.feed(unwrapInboundIn(data))
            while failure == nil, let reply = try reader.next() {
                deliver(reply, context)
            }
        } catch {
            fail(error, context)
        }
    }

    private func deliver(_ reply: RESPValue, _ context: ChannelHandlerContext) {
        guard var handshake else {
            receiver?.received(reply)
            return
        }
        switch handshake.receive(reply) {
        case .waiting:
            self.handshake = handshake
        case .done(let replicationID):
            self.handshake = nil
            signInTimeout?.cancel()
            ready.succeed(replicationID)
        case .failed(let error):
            fail(error, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        receiver?.receivedAll()
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(RedisError(.connection, "the connection to Redis failed", underlying: error), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
    }

    private func fail(_ error: RedisError, _ context: ChannelHandlerContext) {
        if failure == nil { failure = error }
        context.close(promise: nil)
        // A TLS close waits for the peer, which may be gone. Whoever waits for replies learns of it now.
        end()
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        signInTimeout?.cancel()
        let error = failure ?? Self.lost
        ready.fail(error)
        receiver?.closed(error)
        receiver = nil
    }

    private static var lost: RedisError {
        RedisError(.connection, "Redis closed the connection")
    }
}
