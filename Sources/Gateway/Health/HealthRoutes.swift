import HTTPTypes
import Hummingbird
import Sessions

/// `/health`, `/health/live`, `/health/ready`.
struct HealthRoutes: Sendable {
    let stores: Stores
    let drain: DrainState
    let sessions: Sessions
    let instance: String

    private struct Payload: Encodable {
        let status: String
        let instance: String
        let draining: Bool
        let postgresql: Stores.Store
        let redis: Stores.Store
    }
    private struct Live: Encodable { let status = "ok" }

    func add(to router: Router<GatewayContext>) {
        router.get("health") { _, _ in await answer { report, _ in report.isOk } }
        router.get("health/live") { _, _ in Response.json(Live()) }
        router.get("health/ready") { _, _ in
            await answer { report, isDraining in report.isOk && !isDraining && sessions.areCompared }
        }
    }

    private func answer(_ isWell: (Stores.Report, _ isDraining: Bool) -> Bool) async -> Response {
        let report = await stores.report()
        let isDraining = drain.isDraining
        let payload = Payload(
            status: report.isOk ? "ok" : "degraded",
            instance: instance,
            draining: isDraining,
            postgresql: report.postgresql,
            redis: report.redis
        )
        if isWell(report, isDraining) { return .json(payload) }
        var response = Response.json(payload, status: .serviceUnavailable)
        response.headers[.retryAfter] = "1"
        return response
    }
}
