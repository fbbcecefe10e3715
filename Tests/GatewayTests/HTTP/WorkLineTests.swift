import TestSupport
import Testing

@testable import Gateway

@Suite struct WorkLineTests {
    /// A line and its clock, behind a reference.
    private final class Line {
        var now = ContinuousClock.now
        private var line: WorkLine

        init(most: Int) { line = WorkLine(.init(most: most)) }

        var working: Int { line.working }
        var waiting: Int { line.waiting }
        func isFull(_ kind: WorkLine.Kind) -> Bool { line.isFull(kind, now: now) }
        func enter(_ kind: WorkLine.Kind) -> WorkLine.Entrance { line.enter(kind, now: now) }
        func leave(_ id: WorkLine.ID) -> [WorkLine.Turn] { line.leave(id, now: now) }
        func tick() -> [WorkLine.Turn] { line.tick(now: now) }
    }

    private let line = Line(most: 4)

    private func worker(_ entrance: WorkLine.Entrance) throws -> WorkLine.ID {
        guard case .works(let id) = entrance else { throw Unexpected(entrance: entrance) }
        return id
    }

    private func waiter(_ entrance: WorkLine.Entrance) throws -> WorkLine.ID {
        guard case .waits(let id) = entrance else { throw Unexpected(entrance: entrance) }
        return id
    }

    private struct Unexpected: Error { let entrance: WorkLine.Entrance }

    @Test("So many work at once, others wait and go on in the order in which they came")
    func order() throws {
        let working = try (1...4).map { _ in try worker(line.enter(.arrival)) }
        let waiting = try (1...3).map { _ in try waiter(line.enter(.arrival)) }
        #expect(line.working == 4 && line.waiting == 3)
        #expect(line.leave(working[2]) == [.works(waiting[0])])
        #expect(line.leave(waiting[0]) == [.works(waiting[1])])
        #expect(line.working == 4 && line.waiting == 1)
    }

    @Test("Buyers go first, but for every eighth turn")
    func buyers() throws {
        let line = Line(most: 20)
        var working = try (1...20).map { _ in try worker(line.enter(.arrival)) }
        let come = try (1...2).map { _ in try waiter(line.enter(.arrival)) }
        let buy = try (1...16).map { _ in try waiter(line.enter(.sale)) }
        var order: [WorkLine.Turn] = []
        for _ in 1...18 { order += line.leave(working.removeFirst()) }
        let ids = Array(buy[0..<7]) + [come[0]] + Array(buy[7..<14]) + [come[1]] + Array(buy[14..<16])
        #expect(order == ids.map { .works($0) })
    }

    @Test("Who leaves the line gives their place in it back, and it is never their turn")
    func goneFromLine() throws {
        let working = try (1...4).map { _ in try worker(line.enter(.arrival)) }
        let gone = try waiter(line.enter(.arrival))
        let next = try waiter(line.enter(.arrival))
        #expect(line.leave(gone) == [])
        #expect(line.leave(gone) == [])
        #expect(line.waiting == 1)
        #expect(line.leave(working[0]) == [.works(next)])
        #expect(line.leave(working[1]) == [])
        #expect(line.working == 3 && line.waiting == 0)
    }

    @Test("Nobody who has left or was refused is counted twice")
    func leavingTwice() throws {
        let works = try worker(line.enter(.arrival))
        _ = line.leave(works)
        #expect(line.leave(works) == [])
        #expect(line.working == 0)
    }

    @Test("A rush may have a long line, with a bound; a line that lasts is as long as what a second does")
    func length() throws {
        let line = Line(most: 2_000)
        var working = try (1...512).map { _ in try worker(line.enter(.arrival)) }
        for _ in 1...(8 * 2_000 - 512) { _ = try waiter(line.enter(.arrival)) }
        #expect(line.enter(.arrival) == .refused)
        // It lasts, and nothing is done yet.
        line.now += .milliseconds(500)
        #expect(line.isFull(.arrival))
        func finish(_ count: Int) {
            for _ in 1...count {
                for turn in line.leave(working.removeFirst()) {
                    if case .works(let id) = turn { working.append(id) }
                }
            }
        }
        finish(15_488 - 512)
        #expect(line.waiting == 512)
        // What was done within this second counts at once, up to the bound of all.
        #expect(!line.isFull(.arrival))
        for _ in 513...(2_000 - 512) { _ = try waiter(line.enter(.arrival)) }
        #expect(line.enter(.arrival) == .refused)
        // Nothing is done for two seconds: then as many may wait as work.
        line.now += .milliseconds(2_500)
        #expect(line.isFull(.arrival))
        finish(300)
        #expect(line.isFull(.arrival))
        finish(2_000 - 1_024 - 300 + 1)
        #expect(line.waiting == 511)
        #expect(!line.isFull(.arrival))
    }

    @Test("Buyers are refused only when their own line is too long")
    func buyersLast() throws {
        let line = Line(most: 1_000)
        for _ in 1...512 { _ = try worker(line.enter(.arrival)) }
        for _ in 1...488 { _ = try waiter(line.enter(.arrival)) }
        line.now += .milliseconds(500)
        #expect(line.enter(.arrival) == .refused)
        for _ in 1...488 { _ = try waiter(line.enter(.sale)) }
        #expect(line.enter(.sale) == .refused)
    }

    @Test("A line that was empty for a moment is a new one")
    func breaks() throws {
        let working = try (1...4).map { _ in try worker(line.enter(.arrival)) }
        let first = try waiter(line.enter(.arrival))
        line.now += .milliseconds(400)
        #expect(line.leave(working[0]) == [.works(first)])
        line.now += .milliseconds(100)
        _ = try waiter(line.enter(.arrival))
        line.now += .milliseconds(499)
        #expect(!line.isFull(.arrival))
        line.now += .milliseconds(1)
        #expect(line.isFull(.arrival))
    }

    @Test("Nobody waits for longer than five seconds, whether anything is done or not")
    func longest() throws {
        let working = try (1...4).map { _ in try worker(line.enter(.arrival)) }
        let first = try waiter(line.enter(.arrival))
        line.now += .milliseconds(250)
        let second = try waiter(line.enter(.sale))
        line.now += .milliseconds(4_750)
        #expect(line.tick() == [])
        line.now += .milliseconds(1)
        #expect(line.tick() == [.refused(first)])
        line.now += .milliseconds(250)
        // Their turn comes too late.
        #expect(line.leave(working[0]) == [.refused(second)])
        #expect(line.working == 3 && line.waiting == 0)
        #expect(line.leave(first) == [])
    }

    @Test(
        "Whatever happens, nobody works beyond the places, nobody waits beside a free one, and all leave in the end",
        arguments: 0..<20 as Range<UInt64>
    )
    func anything(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let line = Line(most: 8)
        var inside: [WorkLine.ID] = []
        func apply(_ turns: [WorkLine.Turn]) {
            for case .refused(let id) in turns {
                let index = inside.firstIndex(of: id)
                #expect(index != nil)
                if let index { inside.remove(at: index) }
            }
        }
        for _ in 1...2_000 {
            line.now += .milliseconds(Int.random(in: 0...300, using: &random))
            switch Int.random(in: 0...9, using: &random) {
            case 0...5:
                switch line.enter(Bool.random(using: &random) ? .sale : .arrival) {
                case .works(let id), .waits(let id): inside.append(id)
                case .refused: #expect(line.working == 8)
                }
            case 6...8 where !inside.isEmpty:
                let id = inside.remove(at: Int.random(in: inside.indices, using: &random))
                apply(line.leave(id))
            default: apply(line.tick())
            }
            #expect(line.working <= 8)
            #expect(line.working == 8 || line.waiting == 0)
            #expect(line.working + line.waiting == inside.count)
        }
        while let id = inside.popLast() { apply(line.leave(id)) }
        #expect(line.working == 0 && line.waiting == 0)
    }
}
