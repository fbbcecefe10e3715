import DequeModule

/// This node's broadcasts on their way to Redis and back.
///
/// A call that failed may have run all the same, and then its message comes back. Each broadcast is delivered here once:
/// when it comes back, or else when its call has failed, without an offset.
///
/// - Bounds: those under way are bounded by the adapter's queue; the last 4,096 that failed are remembered.
struct OwnBroadcasts {
    private static let maxFailed = 4096

    private var last = 0
    private var underWay: Set<Int> = []
    private var delivered: Set<Int> = []
    private var deliveredOrder: Deque<Int> = []

    static func origin(node: String, _ id: Int) -> String { "\(node).\(id)" }

    static func id(of origin: String, node: String) -> Int? {
        origin.hasPrefix(node) ? Int(origin.dropFirst(node.count + 1)) : nil
    }

    mutating func begin() -> Int {
        self.last += 1
        self.underWay.insert(self.last)
        return self.last
    }

    /// It is stored, and comes back if anybody is here to get it.
    mutating func succeeded(_ id: Int) { self.underWay.remove(id) }

    /// - Returns: whether it has to be delivered now.
    mutating func failed(_ id: Int) -> Bool {
        guard self.underWay.remove(id) != nil else { return false }
        self.delivered.insert(id)
        self.deliveredOrder.append(id)
        if self.deliveredOrder.count > Self.maxFailed { self.delivered.remove(self.deliveredOrder.removeFirst()) }
        return true
    }

    /// - Returns: whether it has to be delivered now.
    mutating func returned(_ id: Int) -> Bool {
        self.underWay.remove(id)
        return !self.delivered.contains(id)
    }
}
