/// Who owns which slots, as one node told it.
struct SlotMap: Sendable, Equatable {
    /// A cluster has 1,000 nodes at most by Redis' own advice; an answer beyond makes no sense.
    private static let maxNodes = 1_000

    private(set) var nodes: [RedisEndpoint]
    /// For each slot the index of its owner in `nodes`; -1 for none.
    private var owners: [Int16]

    /// Reads the reply of `CLUSTER SLOTS`; nil for one of another shape, and for one without a single slot, which a node
    /// gives that has just been reset.
    ///
    /// - Parameter asked: whoever gave it: a node that does not know its own name leaves it out.
    init?(_ reply: RESPValue, from asked: RedisEndpoint?) {
        guard let ranges = reply.array, !ranges.isEmpty else { return nil }
        nodes = []
        owners = Array(repeating: -1, count: HashSlot.count)
        var indices: [RedisEndpoint: Int16] = [:]
        for range in ranges {
            guard let parts = range.array, parts.count >= 3, let first = parts[0].int, let last = parts[1].int,
                0 <= first, first <= last, last < HashSlot.count,
                let node = parts[2].array, node.count >= 2, let port = node[1].int
            else { return nil }
            let name = node[0].string ?? ""
            // "?" is a node whose name nobody knows: its slots are out of reach for now.
            guard name != "?", let host = name.isEmpty ? asked?.host : name else { continue }
            let endpoint = RedisEndpoint(host: host, port: port)
            let index = indices[endpoint] ?? Int16(nodes.count)
            if indices.updateValue(index, forKey: endpoint) == nil { nodes.append(endpoint) }
            guard nodes.count <= Self.maxNodes else { return nil }
            for slot in first...last { owners[slot] = index }
        }
        guard !nodes.isEmpty else { return nil }
    }

    func owner(of slot: Int) -> RedisEndpoint? {
        owners[slot] < 0 ? nil : nodes[Int(owners[slot])]
    }

    mutating func setOwner(of slot: Int, to endpoint: RedisEndpoint) {
        if let index = nodes.firstIndex(of: endpoint) {
            owners[slot] = Int16(index)
        } else if nodes.count < Self.maxNodes {
            nodes.append(endpoint)
            owners[slot] = Int16(nodes.count - 1)
        }
    }
}

/// Where a node sends us: `MOVED 3999 127.0.0.1:6381` or `ASK …`.
struct Redirection: Sendable, Equatable {
    let slot: Int
    /// Empty when it is the name that the node which said it was reached by.
    let host: String
    let port: Int

    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count >= 3, let slot = Int(words[1]), (0..<HashSlot.count).contains(slot),
            let colon = words[2].lastIndex(of: ":"), let port = Int(words[2][words[2].index(after: colon)...])
        else { return nil }
        self.slot = slot
        host = String(words[2][..<colon])
        self.port = port
    }

    func endpoint(from asked: RedisEndpoint?) -> RedisEndpoint? {
        guard host.isEmpty else { return RedisEndpoint(host: host, port: port) }
        return asked.map { RedisEndpoint(host: $0.host, port: port) }
    }
}
