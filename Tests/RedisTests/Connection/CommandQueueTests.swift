import NIOCore
import Testing

@testable import Redis

private func at(_ milliseconds: Int64) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
}

struct CommandQueueTests {
    private var queue = CommandQueue<String>(stall: .milliseconds(2000))

    @Test("Replies go to requests in the order of writing, a pipeline's all to itself")
    mutating func order() {
        queue.append("a", count: 1, deadline: at(2000), now: at(0))
        queue.append("b", count: 2, deadline: at(2000), now: at(0))
        #expect(queue.commandCount == 3)
        guard case .complete("a", [.integer(1)]) = queue.receive(.integer(1), now: at(1)) else {
            Issue.record(); return
        }
        guard case .partial = queue.receive(.integer(2), now: at(1)) else { Issue.record(); return }
        guard case .complete("b", [.integer(2), .null]) = queue.receive(.null, now: at(1)) else {
            Issue.record(); return
        }
        #expect(queue.isEmpty)
        guard case .unexpected = queue.receive(.null, now: at(2)) else { Issue.record(); return }
    }

    @Test("A request past its deadline keeps its place, so that its late reply is not taken for another's")
    mutating func lateReply() {
        queue.append("short", count: 1, deadline: at(100), now: at(0))
        queue.append("long", count: 1, deadline: at(2000), now: at(0))
        let expiry = queue.expire(now: at(100))
        #expect(expiry.overdue == ["short"])
        #expect(!expiry.isStalled)
        #expect(expiry.next == at(2000))
        #expect(queue.expire(now: at(101)).overdue.isEmpty)
        guard case .complete("short", _) = queue.receive(.integer(1), now: at(150)) else { Issue.record(); return }
        guard case .complete("long", [.integer(2)]) = queue.receive(.integer(2), now: at(150)) else {
            Issue.record(); return
        }
    }

    @Test("A connection that sends nothing for the whole stall time is stalled; one that answers others is not")
    mutating func stall() {
        queue.append("a", count: 1, deadline: at(2000), now: at(0))
        queue.append("b", count: 1, deadline: at(9000), now: at(0))
        _ = queue.receive(.null, now: at(1500))
        #expect(!queue.expire(now: at(2000)).isStalled)
        #expect(queue.expire(now: at(2000)).next == at(3500))
        #expect(queue.expire(now: at(3500)).isStalled)
    }

    @Test("Silence before a request was written does not count against the connection")
    mutating func idle() {
        queue.append("a", count: 1, deadline: at(2000), now: at(0))
        _ = queue.receive(.null, now: at(1))
        #expect(queue.expire(now: at(9000)).next == nil)
        queue.append("b", count: 1, deadline: at(12_000), now: at(10_000))
        #expect(!queue.expire(now: at(11_999)).isStalled)
        #expect(queue.expire(now: at(12_000)).isStalled)
    }

    @Test("All that was in flight is handed over when the connection ends")
    mutating func drain() {
        queue.append("a", count: 1, deadline: at(1), now: at(0))
        queue.append("b", count: 1, deadline: at(1), now: at(0))
        #expect(queue.drain() == ["a", "b"])
        #expect(queue.commandCount == 0)
    }
}
