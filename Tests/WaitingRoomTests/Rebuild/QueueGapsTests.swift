import Testing

@testable import WaitingRoom

@Suite struct QueueGapsTests {
    @Test("Places between those who wait are gone")
    func gaps() {
        let gaps = QueueGaps(waiting: [3, 4, 8], next: 11)
        #expect(gaps.prefix == 2)
        #expect(gaps.ranges == [5...7, 9...10])
        #expect(gaps.runs(ofAtMost: 2) == [5...6, 7...7, 9...10])
    }

    @Test("With nobody waiting everything given is gone")
    func empty() {
        let gaps = QueueGaps(waiting: [], next: 11)
        #expect(gaps.prefix == 10)
        #expect(gaps.ranges.isEmpty)
    }

    @Test("An admission and its end become one change")
    func changes() {
        let changes = QueueChanges.read(["4|a|ann|7|1000|2000", "5|a|bob|8|1000|2000", "6|x|ann|7", "nonsense"])
        #expect(
            changes == [
                .init(qseq: 7, admittedAtMs: 1_000, expiresAtMs: 2_000, ended: true),
                .init(qseq: 8, admittedAtMs: 1_000, expiresAtMs: 2_000, ended: false),
            ]
        )
    }
}
