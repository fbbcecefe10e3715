/// Reads the lines that `QueueCommon.lua` keeps for PostgreSQL: `N|a|USER|QSEQ|ADMITTED_MS|EXPIRES_MS` and
/// `N|x|USER|QSEQ`.
enum QueueChanges {
    /// - Returns: one change per place, an admission and its end folded together.
    static func read(_ lines: [String]) -> [QueueStore.Change] {
        var changes: [Int64: QueueStore.Change] = [:]
        for line in lines {
            let words = line.split(separator: "|", omittingEmptySubsequences: false)
            guard words.count >= 4, let qseq = Int64(words[3]) else { continue }
            var change = changes[qseq] ?? QueueStore.Change(qseq: qseq)
            if words[1] == "a", words.count == 6 {
                change.admittedAtMs = Int64(words[4])
                change.expiresAtMs = Int64(words[5])
            } else {
                change.ended = true
            }
            changes[qseq] = change
        }
        return changes.values.sorted { $0.qseq < $1.qseq }
    }
}
