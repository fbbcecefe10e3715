import DequeModule
import NIOCore

/// The last broadcasts of a namespace, in order and without gaps.
///
/// - Bounds: `maxCount` messages and `maxBytes` bytes of packets; the oldest go first. Those older than `maxAge` go when
///   the next one comes.
struct RecoveryLog {
    private struct Entry {
        var message: RecoverableMessage
        var expiresAt: NIODeadline
    }

    private let maxCount: Int
    private let maxBytes: Int
    private let maxAge: TimeAmount
    private var entries: Deque<Entry> = []
    private(set) var byteCount = 0
    /// The number of the newest broadcast, kept or not.
    private(set) var last = 0

    init(maxCount: Int, maxBytes: Int, maxAge: TimeAmount) {
        self.maxCount = maxCount
        self.maxBytes = maxBytes
        self.maxAge = maxAge
    }

    var count: Int { self.entries.count }

    /// Gives the next number to a message and keeps it.
    mutating func append(now: NIODeadline, _ make: (Int) -> RecoverableMessage) -> RecoverableMessage {
        self.last += 1
        let message = make(self.last)
        self.entries.append(Entry(message: message, expiresAt: now + self.maxAge))
        self.byteCount += message.size
        while let first = self.entries.first,
            self.entries.count > self.maxCount || self.byteCount > self.maxBytes || first.expiresAt <= now
        {
            self.byteCount -= first.message.size
            self.entries.removeFirst()
        }
        return message
    }

    /// All that came after the broadcast `number`; `nil` if some of it is gone or the number was never given.
    func messages(after number: Int) -> [RecoverableMessage]? {
        let missed = self.last - number
        guard missed >= 0, missed <= self.entries.count else { return nil }
        return self.entries.suffix(missed).map(\.message)
    }
}
