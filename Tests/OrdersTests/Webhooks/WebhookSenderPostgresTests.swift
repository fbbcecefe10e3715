import Events
import Foundation
import HoldfastCore
import Logging
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Orders

/// What `WEBHOOK_URL` hears of orders in a real PostgreSQL.
extension OrdersPostgresTests {
    /// A receiver that answers as it is told, and remembers what it heard.
    final class Receiver: Sendable {
        struct Message: Sendable {
            let headers: [String: String]
            let body: [UInt8]

            var fields: [String: String] {
                let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
                return (object ?? [:]).compactMapValues { $0 as? String }
            }
        }

        let answers: Mutex<[Int]>
        let heard = Mutex<[Message]>([])

        /// - Parameter answers: statuses in order, 0 for no answer; then 200 for ever.
        init(_ answers: [Int] = []) { self.answers = Mutex(answers) }

        var types: [String] { heard.withLock { $0.map { $0.fields["type"] ?? "?" } } }

        func post(_ headers: [(String, String)], _ body: [UInt8]) throws -> Int {
            heard.withLock { $0.append(Message(headers: Dictionary(uniqueKeysWithValues: headers), body: body)) }
            let status = answers.withLock { $0.isEmpty ? 200 : $0.removeFirst() }
            if status == 0 { throw URLError(.timedOut) }
            return status
        }
    }

    func sender(_ shop: Shop, _ receiver: Receiver, maxAttempts: Int = 35) -> WebhookSender {
        var policy = WebhookSender.Policy()
        policy.firstPause = .zero
        policy.maxAttempts = maxAttempts
        return WebhookSender(
            postgres: shop.postgres,
            secret: "secret",
            policy: policy,
            logger: Logger(label: "test.webhooks") { _ in SwiftLogNoOpLogHandler() },
            post: { try receiver.post($0, $1) }
        )
    }

    @Test("Every step of an order is told in order, signed, and under an id that a second try keeps")
    func told() async throws {
        try await withShop(announces: true) { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1), seat(2)], by: ann)
            _ = try await shop.orders.pay(reservation.id, by: ann, method: "sandbox-decline")
            _ = try await shop.orders.pay(reservation.id, by: ann, method: "sandbox")
            let receiver = Receiver([503, 0, 200])
            let sender = sender(shop, receiver)
            for _ in 0..<6 { _ = try await sender.sendDue() }
            #expect(
                receiver.types == [
                    "order.created", "order.created", "order.created", "order.payment_declined", "order.paid",
                ]
            )
            let heard = receiver.heard.withLock { $0 }
            #expect(Set(heard.prefix(3).map { $0.fields["id"] }).count == 1)
            #expect(Set(heard.map { $0.fields["id"] }).count == 3)
            let last = try #require(heard.last)
            #expect(last.fields["reservationId"] == reservation.id.rawValue)
            #expect(last.fields["userId"] == "ann")
            #expect(last.fields["status"] == "paid")
            #expect(last.headers["X-Holdfast-Delivery"] == last.fields["id"])
            let signature = try #require(last.headers["X-Holdfast-Signature"])
            #expect(WebhookSignature.check(signature, body: last.body, secret: "secret", now: .now) == .valid)
            #expect(try await sender.sendDue() == 0)
        }
    }

    @Test("A message that nobody takes is given up, keeps no later one waiting, and is sent again when asked")
    func parked() async throws {
        try await withShop(announces: true) { shop in
            let ann = try await shop.user("ann")
            let reservation = try await shop.reserved([seat(1)], by: ann)
            _ = try await shop.orders.cancel(reservation.id, by: ann)
            let receiver = Receiver([500, 500])
            let sender = sender(shop, receiver, maxAttempts: 2)
            for _ in 0..<4 { _ = try await sender.sendDue() }
            #expect(receiver.types == ["order.created", "order.created", "order.cancelled"])
            let deliveries = WebhookDeliveries(postgres: shop.postgres)
            let parked = try await deliveries.parked(atMost: 10)
            #expect(parked.map(\.change) == [.created])
            #expect(parked.first?.attempts == 2)
            #expect(parked.first?.lastError == "answered 500")
            #expect(try await deliveries.summary() == .init(due: 0, parked: 1, oldestDueAt: nil))
            #expect(try await deliveries.retryParked() == 1)
            #expect(try await sender.sendDue() == 1)
            #expect(receiver.types.last == "order.created")
            #expect(try await deliveries.summary().parked == 0)
        }
    }

    @Test("Two senders at once tell each step once")
    func twoSenders() async throws {
        try await withShop(maxSeats: 20, announces: true) { shop in
            let ann = try await shop.user("ann")
            for number in 1...10 { _ = try await shop.reserved([seat(number)], by: ann, key: "k\(number)") }
            let receiver = Receiver()
            let senders = [sender(shop, receiver), sender(shop, receiver)]
            try await withThrowingDiscardingTaskGroup { group in
                for sender in senders { group.addTask { while try await sender.sendDue() > 0 {} } }
            }
            #expect(receiver.heard.withLock { Set($0.map { $0.fields["id"] }).count } == 10)
            #expect(receiver.types.count == 10)
        }
    }

    @Test("Without WEBHOOK_URL nothing is kept for it, and the log is")
    func silent() async throws {
        try await withShop { shop in
            let ann = try await shop.user("ann")
            _ = try await shop.reserved([seat(1)], by: ann)
            let deliveries = try await shop.postgres.query("SELECT count(*) FROM webhook_deliveries")
            #expect(try deliveries[0].decode(Int.self) == 0)
            let history = try await shop.orders.history(of: ann, in: shop.event.id, limit: 10)
            #expect(history.map(\.change) == [.created])
            #expect(history.first?.seats == ["VIP-1-1"])
        }
    }

    @Test("Pauses double up to an hour and are never longer")
    func pauses() {
        let policy = WebhookSender.Policy()
        #expect(policy.pause(after: 1, jitter: 0) == .seconds(1))
        #expect(policy.pause(after: 5, jitter: 0) == .seconds(16))
        #expect(policy.pause(after: 5, jitter: 1) == .seconds(8))
        #expect(policy.pause(after: 30, jitter: 0) == .seconds(3_600))
        let whole = (1..<policy.maxAttempts).reduce(Duration.zero) { $0 + policy.pause(after: $1, jitter: 0) }
        #expect(whole > .seconds(20 * 3_600) && whole < .seconds(30 * 3_600))
    }
}
