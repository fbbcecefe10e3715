import HTTPTypes
import Hummingbird

/// Headers that keep a browser from doing more with our answers than we meant.
struct SecurityHeadersMiddleware: RouterMiddleware {
    private static let contentSecurityPolicy =
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; "
        + "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

    /// On every answer.
    static let fields: [(name: HTTPField.Name, value: String)] =
        [
            (.xContentTypeOptions, "nosniff"), (.contentSecurityPolicy, contentSecurityPolicy),
        ] + (HTTPField.Name("Referrer-Policy").map { [($0, "no-referrer")] } ?? [])

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        for field in Self.fields { response.headers[field.name] = field.value }
        return response
    }
}
