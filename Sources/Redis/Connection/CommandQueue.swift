import DequeModule
import NIOCore

/// The requests in flight on one connection, oldest first: Redis answers in the order it was asked.
///
/// A request that ended early keeps its place, because its replies still come. When Redis sends nothing at all for
/// `stall` although something has been in flight that long, the connection is of no use: the peer may be gone without a
/// word, and every request behind it would wait for its own deadline.
struct CommandQueue<Request> {
    struct Entry {
        let request: Request
        let count: Int
        let deadline: NIODeadline
        let written: NIODeadline
        var replies: [RESPValue] = []
        var isOverdue = false
    }

    enum Arrival {
        case partial
        case complete(Request, [RESPValue])
        /// Nobody asked: the two sides disagree about the order, so no later reply can be trusted.
        case unexpected
    }

    struct Expiry {
        var overdue: [Request] = []
        var isStalled = false
        /// When to ask again; nil when nothing is in flight.
        var next: NIODeadline?
    }

    private var entries: Deque<Entry> = []
    private var lastReply: NIODeadline?
    private let stall: TimeAmount
    /// Commands, not requests: a pipeline counts each of its own.
    private(set) var commandCount = 0

    init(stall: TimeAmount) {
        self.stall = stall
    }

    var isEmpty: Bool {
        entries.isEmpty
    }

    mutating func append(_ request: Request, count: Int, deadline: NIODeadline, now: NIODeadline) {
        entries.append(Entry(request: request, count: count, deadline: deadline, written: now))
        commandCount += count
    }

    mutating func receive(_ reply: RESPValue, now: NIODeadline) -> Arrival {
        guard !entries.isEmpty else { return .unexpected }
        lastReply = now
        commandCount -= 1
        entries[0].replies.append(reply)
        guard entries[0].replies.count == entries[0].count else { return .partial }
        let entry = entries.removeFirst()
        return .complete(entry.request, entry.replies)
    }

    mutating func expire(now: NIODeadline) -> Expiry {
        var expiry = Expiry()
        guard let oldest = entries.first else { return expiry }
        let stalled = max(oldest.written, lastReply ?? oldest.written) + stall
        expiry.isStalled = stalled <= now
        var next = stalled
        for index in entries.indices where !entries[index].isOverdue {
            if entries[index].deadline <= now {
                entries[index].isOverdue = true
                expiry.overdue.append(entries[index].request)
            } else {
                next = min(next, entries[index].deadline)
            }
        }
        expiry.next = next
        return expiry
    }

    /// Everything in flight, oldest first; the queue is empty afterwards.
    mutating func drain() -> [Request] {
        defer {
            entries = []
            commandCount = 0
        }
        return entries.map(\.request)
    }
}
