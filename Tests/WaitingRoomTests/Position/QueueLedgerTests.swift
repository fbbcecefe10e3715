import TestSupport
import Testing

@testable import WaitingRoom

@Suite struct QueueLedgerTests {
    @Test("Positions are those of a plain set, and never get worse", arguments: UInt64(1)...200)
    func matchesModel(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var ledger = QueueLedger()
        var gone: Set<Int64> = []
        let count: Int64 = 60
        var positions = (1...count).map { Int($0) }
        for _ in 0..<40 {
            if Bool.random(using: &random) {
                let batch = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                    Int64.random(in: 1...count, using: &random)
                }
                ledger.remove(batch)
                gone.formUnion(batch)
            } else {
                let prefix = Int64.random(in: 0...15, using: &random)
                ledger.remove(upTo: prefix)
                if prefix > 0 { gone.formUnion(1...prefix) }
            }
            for qseq in 1...count {
                let expected = gone.count { $0 < qseq }
                #expect(ledger.ahead(of: qseq) == Int(qseq) - 1 - expected, "seed \(seed)")
                #expect(ledger.isGone(qseq) == gone.contains(qseq), "seed \(seed)")
                let position = ledger.position(of: qseq)
                #expect(position <= positions[Int(qseq) - 1], "seed \(seed)")
                positions[Int(qseq) - 1] = position
            }
        }
    }

    @Test("A run that follows the prefix moves into it")
    func absorbs() {
        var ledger = QueueLedger()
        ledger.remove([2, 3, 5])
        #expect(ledger.prefix == 0)
        ledger.remove([1])
        #expect(ledger.prefix == 3)
        #expect(ledger.sparse == [5])
        ledger.remove(upTo: 4)
        #expect(ledger.prefix == 5)
        #expect(ledger.sparse.isEmpty)
    }
}
