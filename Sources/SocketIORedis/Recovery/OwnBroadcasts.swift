import DequeModule

/// This node's broadcasts on their way to Redis and back.
///
/// A call that failed may have run all the same, and then its message comes back. Each broadcast is delivered here once:
/// when it comes back, or else when its call has failed, without an offset.
///
/// What has to happen behind a broadcast, such as a disconnection, may wait here until all that were sent before it
/// have come back.
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
    /// Will be delivered here, and have not been.
    private var awaited: Set<Int> = []
    private var delivered: Set<Int> = []
    private var deliveredOrder: Deque<Int> = []
    private var waiting: Deque<(behind: Int, action: Action)> = []

    static func origin(node: String, _ id: Int) -> String { "\(node).\(id)" }

    static func id(of origin: String, node: String) -> Int? {
        origin.hasPrefix(node) ? Int(origin.dropFirst(node.count + 1)) : nil
    }

    /// - Parameter returns: whether this node listens to the channel that it goes to.
    mutating func begin(returns: Bool) -> Int {
        self.last += 1
        self.underWay.insert(self.last)
        if returns { self.awaited.insert(self.last) }
        return self.last
    }

    /// It is stored, and comes back if anybody is here to get it.
    mutating func succeeded(_ id: Int) { self.underWay.remove(id) }

    /// - Returns: whether it has to be delivered now.
    mutating func failed(_ id: Int) -> Bool {
        self.awaited.remove(id)
        guard self.underWay.remove(id) != nil else { return false }
        self.delivered.insert(id)
        self.deliveredOrder.append(id)
        if self.deliveredOrder.count > Self.maxFailed { self.delivered.remove(self.deliveredOrder.removeFirst()) }
        return true
    }

    /// - Returns: whether it has to be delivered now.
    mutating func returned(_ id: Int) -> Bool {
        self.underWay.remove(id)
        self.awaited.remove(id)
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

    /// No longer waits for broadcasts up to this number: nobody listened any more when they came back.
    mutating func giveUp(on id: Int) { self.awaited = self.awaited.filter { $0 > id } }

    /// What waits for nothing any more, in order.
    mutating func takeReady() -> [Action] {
        guard !self.waiting.isEmpty else { return [] }
        let oldest = self.awaited.min() ?? .max
        var ready: [Action] = []
        while let first = self.waiting.first, first.behind < oldest { ready.append(self.waiting.removeFirst().action) }
        return ready
    }
}
