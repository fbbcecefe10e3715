/// Which statements one connection has prepared, and under which names.
///
/// Bounded: the statement unused for longest makes room, and its name waits in ``garbage`` until a `DEALLOCATE`
/// succeeded. Pure bookkeeping; the connection does the talking.
struct StatementCache {
    private struct Entry {
        let name: String
        var lastUse: UInt64
    }

    private let capacity: Int
    private var entries: [String: Entry] = [:]
    private var clock: UInt64 = 0
    private var nextNumber: UInt64 = 0
    /// Names the server still knows and we no longer use.
    private(set) var garbage: [String] = []

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    var count: Int { entries.count }

    /// The name under which the text is prepared, if it is.
    mutating func name(of sql: String) -> String? {
        guard var entry = entries[sql] else { return nil }
        clock += 1
        entry.lastUse = clock
        entries[sql] = entry
        return entry.name
    }

    mutating func newName() -> String {
        nextNumber += 1
        return "s\(nextNumber)"
    }

    /// The server has prepared the text. Evicting is O(capacity), and happens only when a new text arrives.
    mutating func insert(_ sql: String, name: String) {
        if let old = entries[sql] { garbage.append(old.name) }
        if entries[sql] == nil, entries.count >= capacity,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
            garbage.append(oldest.value.name)
        }
        clock += 1
        entries[sql] = Entry(name: name, lastUse: clock)
    }

    /// The statement is of no use any more, for instance because a table's columns changed under it.
    mutating func remove(_ sql: String) {
        guard let entry = entries.removeValue(forKey: sql) else { return }
        garbage.append(entry.name)
    }

    mutating func deallocated(_ name: String) {
        garbage.removeAll { $0 == name }
    }
}
