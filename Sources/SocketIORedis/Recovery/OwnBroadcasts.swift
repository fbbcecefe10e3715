import DequeModule

/// This node's broadcasts on their way to Redis and back.
///
/// A call that failed may have run all the same, and then its message comes back. Each broadcast is delivered here once:
/// when it comes back, or else when its call has failed, without an offset.
///
/// What has to happen behind a broadcast, such as a disconnection, may wait here until all that were sent before it
/// have come back, or cannot any more because nobody here listens.
///
/// - Bounds: those under way are bounded by the adapter's queue; the last 4,096 that failed are remembered; at most 4,096
///   may wait.
struct OwnBroadcasts {
    typealias Action = @Sendable () -> Void

    private static let maxFailed = 4096
    private static let maxWaiting = 4096

    private var last = 0
    /// Neither answered nor returned.
    private var underWay: Set<Int> = []
    /// Will be delivered here, and have not been; with the channel that brings them.
    private var awaited: [Int: String] = [:]
    private var delivered: Set<Int> = []
    private var deliveredOrder: Deque<Int> = []
    private var waiting: Deque<(behind: Int, action: Action)> = []

    static func origin(node: String, _ id: Int) -> String { "\(node).\(id)" }

    static func id(of origin: String, node: String) -> Int? {
        origin.hasPrefix(node) ? Int(origin.dropFirst(node.count + 1)) : nil
    }

    /// - Parameter channel: that it comes back by; `nil` if this node does not listen to it.
    mutating func begin(returningBy channel: String?) -> Int {
        self.last += 1
        self.underWay.insert(self.last)
        self.awaited[self.last] = channel
        return self.last
    }

    /// It is stored, and comes back if anybody is here to get it.
    mutating func succeeded(_ id: Int) { self.underWay.remove(id) }

    /// - Returns: whether it has to be delivered now.
    mutating func failed(_ id: Int) -> Bool {
        self.awaited[id] = nil
        guard self.underWay.remove(id) != nil else { return false }
        self.delivered.insert(id)
        self.deliveredOrder.append(id)
        if self.deliveredOrder.count > Self.maxFailed { self.delivered.remove(self.deliveredOrder.removeFirst()) }
        return true
    }

    /// - Returns: whether it has to be delivered now.
    mutating func returned(_ id: Int) -> Bool {
        self.underWay.remove(id)
        self.awaited[id] = nil
        return !self.delivered.contains(id)
    }

    // MARK: What has to come behind

    /// Keeps an action until all broadcasts begun so far have been delivered here.
    ///
    /// - Returns: the number to give up on; `nil` if there is nothing to wait for, or no room.
    mutating func wait(_ action: @escaping Action) -> Int? {
        guard !self.awaited.isEmpty, self.waiting.count < Self.maxWaiting else { return nil }
        self.waiting.append((self.last, action))
        return self.last
    }

    /// Nobody here is in the room of this channel any more: what it brings need not be waited for.
    mutating func stoppedListening(to channel: String) { self.awaited = self.awaited.filter { $0.value != channel } }

    /// No longer waits for broadcasts up to this number: Pub/Sub has lost them, or is too slow.
    mutating func giveUp(on id: Int = .max) { self.awaited = self.awaited.filter { $0.key > id } }

    var hasWaiting: Bool { !self.waiting.isEmpty }

    /// What waits for nothing any more, in order.
    mutating func takeReady() -> [Action] {
        guard !self.waiting.isEmpty else { return [] }
        let oldest = self.awaited.keys.min() ?? .max
        var ready: [Action] = []
        while let first = self.waiting.first, first.behind < oldest { ready.append(self.waiting.removeFirst().action) }
        return ready
    }
}
