import EngineIOServer
import HTTPTypes
import Hummingbird
import Metrics
import NIOHTTP1
import Synchronization

/// Counts and times requests by method, route and status, whichever way they take through the process.
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

    /// The same for answers that go past the router; their route is their path.
    func counting(_ routes: [String: DirectRoutes.Respond]) -> [String: DirectRoutes.Respond] {
        Dictionary(
            uniqueKeysWithValues: routes.map { path, respond in
                // Nearly every answer's; looked up once.
                let usual = entry(Key(method: "GET", route: path, status: 200))
                let counted: DirectRoutes.Respond = { head in
                    let start = ContinuousClock.now
                    self.inFlight.increment()
                    defer { self.inFlight.decrement() }
                    let answer = await respond(head)
                    let status = Int(answer.status.code)
                    let entry =
                        status == 200 ? usual : self.entry(Key(method: "GET", route: path, status: status))
                    entry.count.increment()
                    entry.seconds.record(duration: start.duration(to: .now))
                    return answer
                }
                return (path, counted)
            }
        )
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
