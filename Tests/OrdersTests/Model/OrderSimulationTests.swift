import Testing

/// The rules of orders in thousands of histories.
@Suite struct OrderSimulationTests {
    @Test("Six thousand histories with deaths, wipes and an unreliable bank keep every promise", arguments: 0..<6)
    func histories(thousand: UInt64) async {
        for seed in thousand * 1_000..<(thousand + 1) * 1_000 {
            // Tests that wait for servers share the threads.
            await Task.yield()
            var simulation = OrderSimulation(seed: seed)
            guard let breach = simulation.run() else { continue }
            var again = OrderSimulation(seed: seed, traces: true)
            _ = again.run()
            Issue.record("seed \(seed): \(breach)\n\(again.trace.joined(separator: "\n"))")
            return
        }
    }

    @Test("Each bug that is put in is caught", arguments: OrderMutant.allCases)
    func mutants(mutant: OrderMutant) async {
        // Some need such a coincidence that it comes once in many thousand histories; these are known to have it. Should
        // the simulation change, look for others.
        let telling: [OrderMutant: UInt64] = [.noOrder: 92_919, .freeNotPinned: 21_668]
        for seed in [telling[mutant] ?? 0] + Array(0..<6_000) {
            await Task.yield()
            var simulation = OrderSimulation(seed: seed, mutant: mutant)
            if simulation.run() != nil { return }
        }
        Issue.record("\(mutant) was not caught")
    }

    @Test("The same seed gives the same history")
    func determinism() {
        var (one, other) = (OrderSimulation(seed: 42, traces: true), OrderSimulation(seed: 42, traces: true))
        #expect(one.run() == other.run())
        #expect(one.trace == other.trace)
    }
}
