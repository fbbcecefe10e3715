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
}
