/// An answer that may be some seconds old, so that asking often costs no more than asking seldom.
///
/// Those who ask while it is looked up share one look.
actor RecentAnswer<Answer: Sendable> {
    private let lifetime: Duration
    private var answer: (value: Answer, goodUntil: ContinuousClock.Instant)?
    private var look: Task<Answer, any Error>?

    init(lifetime: Duration) { self.lifetime = lifetime }

    func value(_ ask: @escaping @Sendable () async throws -> Answer) async throws -> Answer {
        if let answer, .now < answer.goodUntil { return answer.value }
        if let look { return try await look.value }
        // Awaited below by everyone who asks; nobody's hanging up should cost the others their answer.
        let look = Task { try await ask() }
        self.look = look
        defer { self.look = nil }
        let asked = ContinuousClock.now
        let value = try await look.value
        answer = (value, asked + lifetime)
        return value
    }
}
