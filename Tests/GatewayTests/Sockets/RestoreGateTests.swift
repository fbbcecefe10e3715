import Synchronization
import Testing

@testable import Gateway

@Suite struct RestoreGateTests {
    @Test("Never more than its places are in at once, and everybody gets in", .timeLimit(.minutes(1)))
    func bounded() async {
        let gate = RestoreGate()
        let inside = Mutex((now: 0, most: 0, done: 0))
        await withTaskGroup { group in
            for _ in 0..<5_000 {
                group.addTask {
                    await gate.through {
                        inside.withLock {
                            $0.now += 1
                            $0.most = max($0.most, $0.now)
                        }
                        await Task.yield()
                        inside.withLock {
                            $0.now -= 1
                            $0.done += 1
                        }
                    }
                }
            }
        }
        let (now, most, done) = inside.withLock { $0 }
        #expect(now == 0 && done == 5_000)
        #expect(most <= RestoreGate.places)
    }
}
