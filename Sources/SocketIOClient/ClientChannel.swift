import NIOCore
import NIOHTTP1
import NIOPosix
package import NIOSSL
import NIOWebSocket

/// Opens WebSockets to one server. Shared by all clients of that server, so that what is dear is made once.
package struct ClientConnector: Sendable {
    package let address: ServerAddress
    private let tls: NIOSSLContext?

    /// - Throws: if the trusted certificates cannot be read, for `https` only.
    package init(_ address: ServerAddress, tls: TLSConfiguration = .makeClientConfiguration()) throws {
        self.address = address
        self.tls = address.isSecure ? try NIOSSLContext(configuration: tls) : nil
    }

    private enum Handshake: Sendable {
        case upgraded(any Channel)
        /// Fails with what the server answered instead.
        case refused(EventLoopFuture<any Channel>)
    }

    /// A channel whose last handler is `makeHandler`'s, in the middle of WebSocket frames.
    func open(
        on eventLoop: any EventLoop,
        _ configuration: ClientConfiguration,
        makeHandler: @escaping @Sendable () -> ClientHandler
    ) -> EventLoopFuture<any Channel> {
        let upgrade = self.upgrade(configuration, makeHandler)
        let (address, tls) = (self.address, self.tls)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let tls else { return }
                    // An address has no name that a certificate could be asked for.
                    let isName = (try? SocketAddress(ipAddress: address.host, port: 0)) == nil
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: tls, serverHostname: isName ? address.host : nil)
                    )
                }
            }
            .connect(host: address.host, port: address.port)
            .flatMap { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(configuration: upgrade)
                }
                .flatMap { $0 }
                .flatMap { handshake in
                    switch handshake {
                    case .upgraded(let channel): channel.eventLoop.makeSucceededFuture(channel)
                    case .refused(let failure): failure
                    }
                }
                .flatMapError { error in
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(error)
                }
            }
    }

    private func upgrade(
        _ configuration: ClientConfiguration,
        _ makeHandler: @escaping @Sendable () -> ClientHandler
    ) -> NIOUpgradableHTTPClientPipelineConfiguration<Handshake> {
        let most = configuration.maxMessageBytes
        let upgrader = NIOTypedWebSocketClientUpgrader<Handshake>(maxFrameSize: most) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                let aggregator = NIOWebSocketFrameAggregator(
                    minNonFinalFragmentSize: 0,
                    maxAccumulatedFrameCount: 1_024,
                    maxAccumulatedFrameSize: most
                )
                try channel.pipeline.syncOperations.addHandlers(aggregator, makeHandler())
                return .upgraded(channel)
            }
        }
        let head = HTTPRequestHead(
            version: .http1_1,
            method: .GET,
            uri: "\(self.address.path)?EIO=4&transport=websocket",
            headers: ["Host": self.address.hostField]
        )
        var pipeline = NIOUpgradableHTTPClientPipelineConfiguration<Handshake>(
            upgradeConfiguration: .init(upgradeRequestHead: head, upgraders: [upgrader]) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let failure = channel.eventLoop.makePromise(of: (any Channel).self)
                    try channel.pipeline.syncOperations.addHandler(RefusalReader(failure))
                    return .refused(failure.futureResult)
                }
            }
        )
        // The server's first packet comes right behind its answer to the handshake.
        pipeline.leftOverBytesStrategy = .forwardBytes
        return pipeline
    }
}

/// The server answered the handshake by plain HTTP.
package struct HandshakeRefused: Error, CustomStringConvertible {
    package let status: UInt
    package var description: String { "the WebSocket handshake was answered with status \(self.status)" }
}

/// Reads the status of an answer that is no upgrade, and fails the handshake with it.
private final class RefusalReader: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private var failure: EventLoopPromise<any Channel>?

    init(_ failure: EventLoopPromise<any Channel>) { self.failure = failure }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = Self.unwrapInboundIn(data) else { return }
        self.fail(HandshakeRefused(status: head.status.code), context)
    }

    func channelInactive(context: ChannelHandlerContext) { self.fail(ChannelError.eof, context) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.fail(error, context) }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        self.failure?.fail(error)
        self.failure = nil
        context.close(promise: nil)
    }
}

/// The last handler of a connection: text to its client, masked frames to the server.
///
/// Touched on its loop only.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    /// Let go when the client has done with this connection.
    private weak var client: SocketIOClient?

    init(_ client: SocketIOClient) { self.client = client }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        switch frame.opcode {
        case .text: self.client?.received(frame.unmaskedData, over: context.channel)
        case .binary: self.client?.receivedBinary(over: context.channel)
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
            context.writeAndFlush(Self.wrapOutboundOut(pong), promise: nil)
        case .connectionClose: context.close(promise: nil)
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.client?.closed(context.channel)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
