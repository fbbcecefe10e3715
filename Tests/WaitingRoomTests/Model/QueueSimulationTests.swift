import Foundation
import Testing

@testable import WaitingRoom

/// The rules alone, played with faults by the thousand; see ``QueueWorld``.
///
/// `HOLDFAST_TEST_SEED` plays one history again.
@Suite struct QueueSimulationTests {
    static let chosenSeed = ProcessInfo.processInfo.environment["HOLDFAST_TEST_SEED"].flatMap { UInt64($0) }
    private static let firstSeed = chosenSeed ?? UInt64.random(in: 0..<1 << 40)

    @Test("Nobody is overtaken, no limit is exceeded and no position gets worse in 5,000 histories with faults")
    func histories() async {
        let count: UInt64 = Self.chosenSeed == nil ? 5_000 : 1
        print("queue simulation: seeds from \(Self.firstSeed), \(count) histories")
        let admissions = await withTaskGroup(of: Int.self) { group in
            for part in 0..<8 {
                group.addTask {
                    var admissions = 0
                    for seed in stride(from: Self.firstSeed + UInt64(part), to: Self.firstSeed + count, by: 8) {
                        // Tests that wait for servers share the threads.
                        await Task.yield()
                        var world = QueueWorld(seed: seed)
                        world.run(160)
                        admissions += world.checker.admissions
                        for violation in world.checker.violations {
                            Issue.record("HOLDFAST_TEST_SEED=\(seed): \(violation)")
                        }
                    }
                    return admissions
                }
            }
            return await group.reduce(0, +)
        }
        // Histories in which nothing happens would prove nothing.
        #expect(admissions > Int(count) * 2)
    }

    @Test("The checker finds each mistake that the rules could have", arguments: QueueMutant.allCases)
    func mutants(_ mutant: QueueMutant) async {
        // The same seeds every time: the rarest mistakes show in few histories.
        for seed in UInt64(0)..<4_000 {
            await Task.yield()
            var world = QueueWorld(seed: seed, mutant: mutant)
            world.run(160)
            if !world.checker.violations.isEmpty { return }
        }
        Issue.record("\(mutant) was not found in 4,000 histories")
    }
}
