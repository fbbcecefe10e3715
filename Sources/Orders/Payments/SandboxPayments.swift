import HoldfastCore

/// The provider that is built in: it moves no money, and the method says what it does. Not for production.
package struct SandboxPayments: PaymentProvider {
    package enum Method: String, CaseIterable, Sendable {
        case pays = "sandbox"
        case declines = "sandbox-decline"
        /// Pays after a while.
        case slow = "sandbox-slow"
        /// Says nothing until a webhook tells.
        case never = "sandbox-never"
    }

    private let isOffered: Bool
    private let slowness: Duration

    /// - Parameter isOffered: with false no new attempt is accepted, whatever its method.
    package init(isOffered: Bool = true, slowness: Duration = .seconds(3)) {
        self.isOffered = isOffered
        self.slowness = slowness
    }

    package func accepts(method: String) -> Bool { isOffered && Method(rawValue: method) != nil }

    package func charge(_ attempt: PaymentAttempt) async throws -> PaymentResult {
        if Method(rawValue: attempt.method) == .slow {
            try await Task.sleep(for: slowness)
            return .succeeded
        }
        return try await result(of: attempt)
    }

    /// Follows from method and age alone, so that no instance needs to remember anything.
    package func result(of attempt: PaymentAttempt) async throws -> PaymentResult {
        switch Method(rawValue: attempt.method) {
        case .pays: .succeeded
        case .slow: ServerTime.now - attempt.startedAt >= slowness ? .succeeded : .pending
        case .never: .pending
        case .declines, nil: .declined(detail: "The payment was declined. Please try another way to pay.")
        }
    }

    package func refund(_ attempt: PaymentAttempt) async throws {}
}
