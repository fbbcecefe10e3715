/// The pause in the middle of a play: keeps its times, and tells the referee between which moments it is certain.
struct Pause {
    private enum Phase { case before, paused, over }

    private let pause: (at: Duration, lasting: Duration)?
    private let setPaused: @Sendable (Bool) async throws -> Void
    private let referee: Referee
    private var phase = Phase.before

    init(_ plan: SimulationPlan, _ hooks: Simulation.Hooks, _ referee: Referee) {
        (self.pause, self.setPaused, self.referee) = (plan.pause, hooks.setPaused, referee)
    }

    /// Does what is due. Call it a few times a second.
    mutating func keep(_ now: () -> Moment) async throws {
        guard let pause = self.pause else { return }
        let elapsed: Duration = now() - Moment.zero
        if self.phase == .before, elapsed >= pause.at {
            try await self.setPaused(true)
            let moment = now()
            self.referee.with { $0.paused(at: moment) }
            self.phase = .paused
        } else if self.phase == .paused, elapsed >= pause.at + pause.lasting {
            try await self.end()
        }
    }

    /// Opens the sale again if it is paused.
    mutating func end() async throws {
        guard self.phase == .paused else { return }
        self.phase = .over
        self.referee.with { $0.resumed() }
        try await self.setPaused(false)
    }
}
