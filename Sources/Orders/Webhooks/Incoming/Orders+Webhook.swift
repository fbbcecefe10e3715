import Foundation
package import HoldfastCore
import Postgres

package enum WebhookOutcome: Sendable, Equatable {
    case applied
    /// The message's id was applied before.
    case repeated
    case invalidSignature
    case tooOld
    /// The reason is a sentence for the sender.
    case malformed(String)
    case unknownPayment
}

extension Orders {
    private struct Message: Decodable, Sendable {
        enum Kind: String, Decodable, Sendable {
            case succeeded = "payment.succeeded"
            case failed = "payment.failed"
        }

        let id: String
        let type: Kind
        let paymentId: PaymentID
        let reservationId: ReservationID
    }

    /// Thrown to forget a message that cannot be applied, so that it may come again.
    private struct Unknown: Error {}

    /// Applies a payment result that the provider sent: each message once, however often it comes.
    ///
    /// - Parameters:
    ///   - signature: the header `X-Holdfast-Signature`; see ``WebhookSignature``.
    ///   - body: as received, byte for byte.
    package func applyWebhook(
        signature: String?,
        body: [UInt8],
        now: ServerTime = .now
    ) async throws -> WebhookOutcome {
        guard let signature, let webhookSecret, !webhookSecret.isEmpty else { return .invalidSignature }
        switch WebhookSignature.check(signature, body: body, secret: webhookSecret, now: now) {
        case .invalid: return .invalidSignature
        case .tooOld: return .tooOld
        case .valid: break
        }
        guard let message = try? JSONDecoder().decode(Message.self, from: Data(body)) else {
            return .malformed("The body must be an object with id, type, paymentId and reservationId.")
        }
        guard (1...255).contains(message.id.utf8.count), !message.id.utf8.contains(0) else {
            return .malformed("The id must be 1 to 255 bytes.")
        }
        do {
            let (outcome, change): (WebhookOutcome, OrderChange?) = try await postgres.withTransaction { transaction in
                let new = try await transaction.query(
                    "INSERT INTO processed_webhooks (id) VALUES (\(message.id)) ON CONFLICT DO NOTHING"
                )
                guard new.affectedRows == 1 else { return (.repeated, nil) }
                let result: PaymentResult =
                    switch message.type {
                    case .succeeded: .succeeded
                    case .failed: .declined(detail: "The payment was declined.")
                    }
                let settled = try await self.settle(message.paymentId, result, in: transaction)
                guard let settled, settled.reservation == message.reservationId else { throw Unknown() }
                return (.applied, settled.change)
            }
            if let change { await committed(change, [message.reservationId]) }
            return outcome
        } catch is Unknown {
            return .unknownPayment
        }
    }
}
