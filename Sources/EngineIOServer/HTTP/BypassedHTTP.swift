import NIOCore

/// Stands between a WebSocket and the HTTP handlers of the connection it was opened on.
///
/// Those cannot be removed, some are Hummingbird's. They hear nothing any more until the channel ends, and nothing
/// they do reaches it: no idle timeout, no end of a request's task.
final class BypassedHTTP: ChannelDuplexHandler {
    typealias InboundIn = Never
    typealias OutboundIn = Any

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    func channelReadComplete(context: ChannelHandlerContext) {}
    func channelWritabilityChanged(context: ChannelHandlerContext) {}
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {}
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.outputClosed)
    }

    func flush(context: ChannelHandlerContext) {}

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        promise?.succeed()
    }
}
