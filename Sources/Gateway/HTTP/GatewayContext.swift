package import Hummingbird
package import NIOCore

/// What travels with one HTTP request.
package struct GatewayContext: RequestContext, RemoteAddressRequestContext {
    package var coreContext: CoreRequestContextStorage
    package let remoteAddress: SocketAddress?

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
    }

    /// The peer's address, for throttling and for the person's own list of devices.
    var ipAddress: String { remoteAddress?.ipAddress ?? "unknown" }
}
