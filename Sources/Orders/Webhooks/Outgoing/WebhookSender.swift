import HoldfastCore
package import Logging
import Metrics
package import Postgres
import ServiceLifecycle

/// Tells `WEBHOOK_URL` of every step of every reservation, at least once.
///
/// What is to be told is written in the transaction of the step. Every instance sends; a row that is claimed is left
/// alone by the others until ``claimTerm`` is over, so a sender that dies delays a message and loses none. A receiver
/// that fails is tried again later and later; after ``Policy/maxAttempts`` the message is parked, where administrators
/// see it and may send it again. Nothing else waits for receivers: seats and orders have a queue of their own.
package struct WebhookSender: Service {
    /// Delivers one message. Returns the HTTP status; throws when there was none.
    package typealias Post = @Sendable (_ headers: [(String, String)], _ body: [UInt8]) async throws -> Int

    package struct Policy: Sendable {
        /// The pause after the first failure; doubled after each, up to ``maxPause``, and shortened by up to a half at
        /// random.
        package var firstPause: Duration = .seconds(1)
        package var maxPause: Duration = .seconds(3_600)
        /// With the pauses above about a day.
        package var maxAttempts = 35

        package init() {}

        /// - Parameter jitter: 0 to 1.
        func pause(after attempt: Int, jitter: Double) -> Duration {
            let doubled = firstPause * (1 << min(max(attempt - 1, 0), 20))
            return min(doubled, maxPause) * (1 - jitter / 2)
        }
    }

    /// Requests under way at once on an instance.
    static let width = 16
    /// Longer than the longest request.
    static let claimTerm: Duration = .seconds(60)
    private static let interval: Duration = .milliseconds(250)

    private let postgres: PostgresClient
    private let secret: String
    private let policy: Policy
    private let post: Post
    private let logger: Logger
    private let metrics = WebhookMetrics()

    /// - Parameter secret: `PAYMENT_WEBHOOK_SECRET`, with which messages are signed as incoming ones are.
    package init(
        postgres: PostgresClient,
        secret: String,
        policy: Policy = Policy(),
        logger: Logger,
        post: @escaping Post
    ) {
        self.postgres = postgres
        self.secret = secret
        self.policy = policy
        self.logger = logger
        self.post = post
    }

    package func run() async {
        await cancelWhenGracefulShutdown {
            let clock = ContinuousClock()
            while !Task.isCancelled {
                let start = clock.now
                do {
                    while try await sendDue() == Self.width, !Task.isCancelled {}
                } catch {
                    logger.debug("webhooks not sent", metadata: ["error": "\(error)"])
                }
                try? await clock.sleep(until: start + Self.interval)
            }
        }
    }

    /// Sends the messages that are due, at most ``width``.
    ///
    /// - Returns: how many were tried.
    func sendDue() async throws -> Int {
        let rows = try await postgres.query(WebhookMessage.claim(atMost: Self.width, for: Self.claimTerm))
        let messages = try rows.map { try WebhookMessage($0) }
        try await withThrowingDiscardingTaskGroup { group in
            for message in messages { group.addTask { try await send(message) } }
        }
        return messages.count
    }

    private func send(_ message: WebhookMessage) async throws {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Holdfast-Signature", WebhookSignature.sign(message.body, secret: secret, at: .now)),
            ("X-Holdfast-Delivery", message.id),
        ]
        let failure: String
        do {
            let status = try await post(headers, message.body)
            if (200..<300).contains(status) { return try await delivered(message) }
            failure = "answered \(status)"
        } catch is CancellationError {
            return  // Left to its claim's end.
        } catch {
            failure = "no answer (\(type(of: error)))"
        }
        try await failed(message, failure)
    }

    private func delivered(_ message: WebhookMessage) async throws {
        metrics.sent(.delivered)
        _ = try await postgres.query(
            """
            UPDATE webhook_deliveries SET status = 'delivered', settled_at = clock_timestamp(), last_error = NULL
            WHERE log_id = \(message.logID)::bigint
            """
        )
    }

    private func failed(_ message: WebhookMessage, _ failure: String) async throws {
        let isLast = message.attempt >= policy.maxAttempts
        metrics.sent(isLast ? .parked : .failed)
        let pause = policy.pause(after: message.attempt, jitter: .random(in: 0...1))
        _ = try await postgres.query(
            """
            UPDATE webhook_deliveries SET last_error = \(failure), status = \(isLast ? "parked" : "due"),
                next_at = clock_timestamp() + \(pause.milliseconds)::bigint * interval '1 millisecond',
                settled_at = CASE WHEN \(isLast) THEN clock_timestamp() END
            WHERE log_id = \(message.logID)::bigint AND status = 'due'
            """
        )
        if isLast {
            logger.error(
                "a webhook was given up; see GET /api/admin/webhooks",
                metadata: ["webhook.id": "\(message.id)", "webhook.failure": "\(failure)"]
            )
        }
    }
}

/// Made once per sender.
private struct WebhookMetrics: Sendable {
    enum Outcome: String, CaseIterable { case delivered, failed, parked }

    private let counters = Dictionary(
        uniqueKeysWithValues: Outcome.allCases.map {
            ($0, Counter(label: "holdfast_webhooks_total", dimensions: [("outcome", $0.rawValue)]))
        }
    )

    func sent(_ outcome: Outcome) { counters[outcome]?.increment() }
}
