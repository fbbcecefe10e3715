import NIOCore
import Seating
import Testing

@testable import Gateway

@Suite struct SeatSequenceTests {
    private func message(_ seq: Int64) -> SeatSequence.Message {
        SeatSequence.Message(kind: .locked, seq: seq, payload: ByteBuffer(string: "\(seq)"))
    }

    private func messages(_ range: ClosedRange<Int64>) -> [SeatSequence.Message] { range.map(message) }

    private func numbers(_ actions: [SeatSequence.Action]) -> [Int64] {
        actions.flatMap { action in
            if case .relay(let messages) = action { return messages.map(\.seq) }
            return []
        }
    }

    @Test("Messages in order pass as they come, and repeated ones do not")
    func inOrder() {
        var sequence = SeatSequence()
        #expect(sequence.receive(message(7)) == .relay([message(7)]))
        #expect(sequence.receive(message(8)) == .relay([message(8)]))
        #expect(sequence.receive(message(8)) == .none)
        #expect(sequence.receive(message(3)) == .none)
        #expect(sequence.receive(message(9)) == .relay([message(9)]))
    }

    @Test("A gap is read from the log, and what came meanwhile follows it")
    func gap() {
        var sequence = SeatSequence()
        _ = sequence.receive(message(1))
        #expect(sequence.receive(message(4)) == .readLog(after: 1))
        #expect(sequence.receive(message(5)) == .none)
        #expect(sequence.receive(message(6)) == .none)
        #expect(sequence.isReading)
        #expect(numbers(sequence.read(messages(2...5))) == [2, 3, 4, 5, 6])
        #expect(!sequence.isReading)
        #expect(sequence.receive(message(7)) == .relay([message(7)]))
    }

    @Test("A second gap behind the first is read next")
    func twoGaps() {
        var sequence = SeatSequence()
        _ = sequence.receive(message(1))
        _ = sequence.receive(message(3))
        _ = sequence.receive(message(6))
        let actions = sequence.read(messages(2...3))
        #expect(actions == [.relay(messages(2...3)), .readLog(after: 3)])
        #expect(numbers(sequence.read(messages(4...6))) == [4, 5, 6])
    }

    @Test("After a lost subscription the log is read though nobody says more")
    func resubscribed() {
        var sequence = SeatSequence()
        #expect(sequence.resubscribed() == .none)
        _ = sequence.receive(message(1))
        #expect(sequence.resubscribed() == .readLog(after: 1))
        #expect(sequence.resubscribed() == .none)
        #expect(sequence.read([]) == [])
        #expect(sequence.receive(message(2)) == .relay([message(2)]))
    }

    @Test("What does not fit aside is read from the log afterwards")
    func bound() {
        var sequence = SeatSequence()
        _ = sequence.receive(message(1))
        let last = Int64(SeatSequence.maxPending) + 12
        for seq in 3...last { _ = sequence.receive(message(seq)) }
        let kept = Int64(SeatSequence.maxPending) + 2
        let actions = sequence.read([message(2)])
        #expect(numbers(actions) == Array(2...kept))
        #expect(actions.last == .readLog(after: kept))
        #expect(numbers(sequence.read(messages((kept + 1)...last))) == Array((kept + 1)...last))
        #expect(!sequence.isReading)
    }

    @Test("A reset forgets what was before it")
    func restart() {
        var sequence = SeatSequence()
        _ = sequence.receive(message(1))
        _ = sequence.receive(message(9))
        sequence.restart(at: 2)
        #expect(!sequence.isReading)
        #expect(sequence.receive(message(3)) == .relay([message(3)]))
    }
}
