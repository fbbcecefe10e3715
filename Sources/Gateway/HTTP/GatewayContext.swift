import HTTPTypes
package import Hummingbird
package import NIOCore

/// What travels with one HTTP request.
package struct GatewayContext: RequestContext, RemoteAddressRequestContext {
    package var coreContext: CoreRequestContextStorage
    package let remoteAddress: SocketAddress?
    /// Where the request came from, if a proxy of ours said so.
    var client: String?

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
    }

    /// Where the request came from, for throttling and for the person's own list of devices.
    var ipAddress: String { client ?? remoteAddress?.ipAddress ?? "unknown" }
}

/// Finds out where a request came from when it came through proxies.
struct ClientAddressMiddleware: RouterMiddleware {
    private static let forwardedFor = HTTPField.Name("X-Forwarded-For")

    let proxies: TrustedProxies

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        // Several fields of this name read like one, joined by commas.
        let forwarded = Self.forwardedFor.flatMap { request.headers[$0] }
        context.client = proxies.client(peer: context.remoteAddress?.ipAddress, forwarded: forwarded)
        return try await next(request, context)
    }
}
