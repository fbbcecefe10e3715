import HTTPTypes
import HoldfastCore
import Hummingbird
import Orders
import Sessions

/// `/api/admin/webhooks`: what could not be told to `WEBHOOK_URL`.
struct WebhookRoutes: Sendable {
    let deliveries: WebhookDeliveries
    let authenticator: Authenticator
    let audit: AuditLog

    private struct Payload: Encodable {
        struct Parked: Encodable {
            let id: String
            let type: String
            let reservationId: ReservationID
            let createdAt: ServerTime
            let attempts: Int
            let lastError: String?
        }

        let due: Int
        let parkedTotal: Int
        @Nullable var oldestDueAt: ServerTime?
        /// The oldest hundred.
        let parked: [Parked]
    }

    func add(to router: Router<GatewayContext>) {
        router.get("api/admin/webhooks", use: list)
        router.post("api/admin/webhooks/retry", use: retry)
    }

    private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.administrator(request)
        let summary = try await deliveries.summary()
        let parked = try await deliveries.parked(atMost: 100).map {
            Payload.Parked(
                id: $0.id,
                type: $0.change.webhookType ?? $0.change.rawValue,
                reservationId: $0.reservation,
                createdAt: $0.createdAt,
                attempts: $0.attempts,
                lastError: $0.lastError
            )
        }
        return .json(
            Payload(due: summary.due, parkedTotal: summary.parked, oldestDueAt: summary.oldestDueAt, parked: parked)
        )
    }

    private func retry(_ request: Request, _ context: GatewayContext) async throws -> Response {
        struct Answer: Encodable { let due: Int }
        let admin = try await authenticator.administrator(request)
        let count = try await deliveries.retryParked()
        try await audit.record(
            "admin.webhooks.retried",
            actor: admin.userID,
            subject: nil,
            address: context.ipAddress,
            facts: ["count": "\(count)"]
        )
        return .json(Answer(due: count))
    }
}
