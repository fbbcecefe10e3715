import HTTPTypes
import Hummingbird
import Logging
import Postgres
import Redis

/// `/health`, `/health/live`, `/health/ready`.
struct HealthRoutes: Sendable {
    let postgres: PostgresClient
    let redis: RedisClient
    let drain: DrainState
    let instance: String

    private struct Store: Encodable {
        let status: String
        let version: String?
    }
    private struct Report: Encodable {
        let status: String
        let instance: String
        let draining: Bool
        let postgresql: Store
        let redis: Store
    }
    private struct Live: Encodable { let status = "ok" }

    func add(to router: Router<GatewayContext>) {
        router.get("health", use: health)
        router.get("health/live") { _, _ in Response.json(Live()) }
        router.get("health/ready", use: ready)
    }

    private func health(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let report = await report()
        return answer(report, isGood: report.status == "ok")
    }

    private func ready(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let report = await report()
        return answer(report, isGood: report.status == "ok" && !report.draining)
    }

    private func answer(_ report: Report, isGood: Bool) -> Response {
        var response = Response.json(report, status: isGood ? .ok : .serviceUnavailable)
        if response.status != .ok { response.headers[.retryAfter] = "1" }
        return response
    }

    private func report() async -> Report {
        async let postgresql = postgresVersion()
        async let redisVersion = redisVersion()
        let (first, second) = await (postgresql, redisVersion)
        return Report(
            status: first.version != nil && second.version != nil ? "ok" : "degraded",
            instance: instance,
            draining: drain.isDraining,
            postgresql: first,
            redis: second
        )
    }

    private func postgresVersion() async -> Store {
        let version = try? await postgres.query("SHOW server_version").first?.decode(String.self)
        return Store(status: version == nil ? "down" : "ok", version: version)
    }

    private func redisVersion() async -> Store {
        let info = try? await redis.send(RedisCommand("INFO", "server")).string
        let line = info?.split(whereSeparator: \.isNewline).first { $0.hasPrefix("redis_version:") }
        return Store(
            status: info == nil ? "down" : "ok",
            version: line.map { String($0.dropFirst(14)) } ?? info.map { _ in "unknown" }
        )
    }
}
