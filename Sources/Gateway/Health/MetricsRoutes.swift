import Crypto
import HTTPTypes
import HoldfastCore
import Hummingbird
import NIOCore
import PrometheusMetrics

/// `/metrics`, for Prometheus.
///
/// With `METRICS_TOKEN` whoever shows it may read, from anywhere. Without it only who asks from this machine, and not
/// through a proxy: a proxy on this machine would speak for the whole world.
struct MetricsRoutes: Sendable {
    let registry: PrometheusRegistry
    let process: ProcessFigures
    /// Measures what nothing counts as it happens.
    let update: @Sendable () async -> Void
    let token: String?

    func add(to router: Router<GatewayContext>) {
        router.get("metrics", use: metrics)
    }

    private func metrics(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if let token {
            guard let shown = request.headers[.authorization], Self.isSame(shown, "Bearer \(token)") else {
                throw Problem(.authenticationRequired, "Send METRICS_TOKEN as a bearer token.")
            }
        } else {
            guard Self.isLoopback(context.remoteAddress), !Self.isForwarded(request.headers) else {
                throw Problem(.forbidden, "Without METRICS_TOKEN metrics are read from the machine itself only.")
            }
        }
        await process.update()
        await update()
        var response = Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: registry.text())))
        response.headers[.contentType] = PrometheusText.mediaType
        response.headers[.cacheControl] = "no-store"
        return response
    }

    /// Takes as long for a wrong token as for a right one.
    private static func isSame(_ one: String, _ other: String) -> Bool {
        SHA256.hash(data: Array(one.utf8)) == SHA256.hash(data: Array(other.utf8))
    }

    static func isLoopback(_ address: SocketAddress?) -> Bool {
        guard let ip = address?.ipAddress else { return false }
        return ip == "::1" || ip.hasPrefix("127.") || ip.hasPrefix("::ffff:127.")
    }

    private static func isForwarded(_ headers: HTTPFields) -> Bool {
        ["Forwarded", "X-Forwarded-For", "Via"].contains { name in
            HTTPField.Name(name).map { headers[$0] != nil } ?? false
        }
    }
}
