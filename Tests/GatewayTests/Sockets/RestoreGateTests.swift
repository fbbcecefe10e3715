import Synchronization
import Testing

@testable import Gateway

@Suite struct RestoreGateTests {
    private final class Room: Sendable {
        private let counts = Mutex((now: 0, most: 0, seen: 0))

        func enter() {
            counts.withLock {
                $0.now += 1
                $0.seen += 1
                $0.most = max($0.most, $0.now)
            }
        }

        func leave() { counts.withLock { $0.now -= 1 } }

        var all: (now: Int, most: Int, seen: Int) { counts.withLock { $0 } }
    }

    @Test("Never more than its places are in at once, and everybody gets in", .timeLimit(.minutes(20)))
    func bounded() async {
        let (gate, room) = (RestoreGate(), Room())
        await withDiscardingTaskGroup { group in
            for _ in 0..<5_000 {
                group.addTask {
                    await gate.through {
                        room.enter()
                        await Task.yield()
                        room.leave()
                    }
                }
            }
        }
        let (now, most, seen) = room.all
        #expect(now == 0 && seen == 5_000)
        #expect(most <= RestoreGate.places)
    }
}
