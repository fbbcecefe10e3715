import HTTPTypes
import HoldfastCore
import Hummingbird

/// Which web pages may call us: our own, and those the operator lists in `CORS_ORIGINS`.
package struct OriginPolicy: Sendable {
    package let allowed: Set<String>

    package init(allowed: Set<String>) { self.allowed = allowed }

    /// `null` (a sandboxed frame, a file) is never allowed, not even by `*`.
    package func allows(_ origin: String, host: String?) -> Bool {
        if allowed.contains(origin) { return true }
        if origin == "null" { return false }
        return allowed.contains("*") || isOwn(origin, host: host)
    }

    /// A page of ours names our own host; the scheme is the balancer's to decide.
    func isOwn(_ origin: String, host: String?) -> Bool {
        guard let host, !host.isEmpty else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }
}

/// CORS with credentials and an exact allow-list; answers preflights itself.
struct OriginMiddleware: RouterMiddleware {
    let policy: OriginPolicy

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin], !policy.isOwn(origin, host: request.head.authority) else {
            return try await next(request, context)
        }
        let isAllowed = policy.allows(origin, host: request.head.authority)
        let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        var response: Response
        if isPreflight {
            response = Response(status: isAllowed ? .noContent : .forbidden)
        } else {
            response = try await next(request, context)
        }
        response.headers[.vary] = "Origin"
        guard isAllowed else { return response }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlAllowCredentials] = "true"
        if isPreflight {
            response.headers[.accessControlAllowMethods] = "GET, POST, PATCH, DELETE"
            response.headers[.accessControlAllowHeaders] =
                "Authorization, Content-Type, Idempotency-Key, X-CSRF-Token, X-Session-ID"
            response.headers[.accessControlMaxAge] = "600"
        } else {
            response.headers[.accessControlExposeHeaders] = "Retry-After"
        }
        return response
    }
}
