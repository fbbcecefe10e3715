import HTTPTypes
import Hummingbird
import Metrics
import Synchronization

/// Counts and times requests by method, route and status.
///
/// - Bounds: routes are the templates of ours, as in `/api/events/{eventId}`; every other path is `none`. Methods are those
///   that routes have, every other is `OTHER`. So nobody can make labels.
final class RequestMetrics: RouterMiddleware {
    private struct Key: Hashable {
        let method: String
        let route: String
        let status: Int
    }

    private struct Entry {
        let count: Counter
        let seconds: Timer
    }

    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"]

    private let entries = Mutex<[Key: Entry]>([:])
    private let inFlight = Meter(label: "holdfast_http_requests_in_flight")

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        inFlight.increment()
        defer { inFlight.decrement() }
        let response = try await next(request, context)
        let method = request.method.rawValue
        let entry = entry(
            Key(
                method: Self.methods.contains(method) ? method : "OTHER",
                route: context.endpointPath ?? "none",
                status: response.status.code
            )
        )
        entry.count.increment()
        entry.seconds.record(duration: start.duration(to: .now))
        return response
    }

    private func entry(_ key: Key) -> Entry {
        entries.withLock { entries in
            if let entry = entries[key] { return entry }
            let route = [("method", key.method), ("route", key.route)]
            let entry = Entry(
                count: Counter(
                    label: "holdfast_http_requests_total",
                    dimensions: route + [("status", "\(key.status)")]
                ),
                seconds: Timer(label: "holdfast_http_request_seconds", dimensions: route)
            )
            entries[key] = entry
            return entry
        }
    }
}
