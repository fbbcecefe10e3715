/// Who is no longer in line, so that an instance can tell everybody's position without asking.
///
/// Position = qseq − 1 − |gone with a lower qseq| + 1. A qseq never changes and the ledger only grows, so a position
/// never gets worse, in whatever order ticks arrive and however often.
///
/// - Shape: everything up to `prefix` is gone; above it `sparse`, sorted, each once.
/// - Bounds: `sparse` holds at most the places between the first who still waits and the last admitted one; someone away
///   at the front of 100,000 admitted costs 800 kB.
struct QueueLedger: Sendable, Equatable {
    private(set) var prefix: Int64 = 0
    private(set) var sparse: [Int64] = []

    init() {}

    /// Adds places that are gone; known ones change nothing.
    mutating func remove(_ places: some Sequence<Int64>) {
        let added = places.filter { $0 > prefix }.sorted()
        guard !added.isEmpty else { return }
        var merged: [Int64] = []
        merged.reserveCapacity(sparse.count + added.count)
        var known = sparse[...]
        for place in added {
            while let next = known.first, next < place { merged.append(known.removeFirst()) }
            // The new ones may name a place twice, or one that is known.
            if known.first != place, merged.last != place { merged.append(place) }
        }
        sparse = merged + known
        absorb()
    }

    /// Everything up to `prefix` is gone. A lower one than known changes nothing.
    mutating func remove(upTo prefix: Int64) {
        guard prefix > self.prefix else { return }
        self.prefix = prefix
        sparse.removeFirst(index(of: prefix + 1))
        absorb()
    }

    /// How many are in line before the owner of a place.
    func ahead(of qseq: Int64) -> Int {
        guard qseq > prefix else { return 0 }
        return Int(qseq - 1 - prefix) - index(of: qseq)
    }

    func position(of qseq: Int64) -> Int { ahead(of: qseq) + 1 }

    func isGone(_ qseq: Int64) -> Bool {
        if qseq <= prefix { return true }
        let index = index(of: qseq)
        return index < sparse.count && sparse[index] == qseq
    }

    /// The first index whose place is not below `qseq`.
    private func index(of qseq: Int64) -> Int {
        var low = 0
        var high = sparse.count
        while low < high {
            let middle = (low + high) / 2
            if sparse[middle] < qseq { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func absorb() {
        var run = 0
        while run < sparse.count, sparse[run] == prefix + Int64(run) + 1 { run += 1 }
        guard run > 0 else { return }
        sparse.removeFirst(run)
        prefix += Int64(run)
    }
}
