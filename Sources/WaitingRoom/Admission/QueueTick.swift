import HoldfastCore

/// What one step of the leader changed, as every instance hears it.
///
/// - Shape: lines of words, because names and numbers hold no spaces:
///   `tick EPOCH NUMBER PREFIX WAITING LOBBY ACTIVE NOW_MS`, then as needed `gone QSEQ…`, `admitted EXPIRES_MS USER…`,
///   `ended USER…`; or the single word `cleared`.
/// - Bounds: at most 3,000 places and 2,000 users, as `QueueTick.lua` admits and ends.
struct QueueTick: Sendable, Equatable {
    var epoch: Int64
    var number: Int64
    var prefix: Int64
    var waiting: Int
    var lobby: Int
    var active: Int
    var now: ServerTime
    var gone: [Int64] = []
    var admitted: [UserID] = []
    var admittedUntil: ServerTime?
    var ended: [UserID] = []
}

enum QueueMessage: Sendable, Equatable {
    case tick(QueueTick)
    case cleared

    static let clearedText = "cleared"

    /// - Returns: nil for what no script of ours publishes.
    init?(_ text: String) {
        if text == Self.clearedText {
            self = .cleared
            return
        }
        var lines = text.split(separator: "\n").makeIterator()
        guard let head = lines.next()?.split(separator: " "), head.count == 8, head[0] == "tick",
            let epoch = Int64(head[1]), let number = Int64(head[2]), let prefix = Int64(head[3]),
            let waiting = Int(head[4]), let lobby = Int(head[5]), let active = Int(head[6]), let now = Int64(head[7])
        else { return nil }
        var tick = QueueTick(
            epoch: epoch,
            number: number,
            prefix: prefix,
            waiting: waiting,
            lobby: lobby,
            active: active,
            now: ServerTime(millisecondsSinceEpoch: now)
        )
        while let line = lines.next() {
            let words = line.split(separator: " ")
            switch words.first {
            case "gone": tick.gone = words.dropFirst().compactMap { Int64($0) }
            case "admitted":
                guard words.count > 1, let until = Int64(words[1]) else { return nil }
                tick.admittedUntil = ServerTime(millisecondsSinceEpoch: until)
                tick.admitted = words.dropFirst(2).compactMap { UserID(String($0)) }
            case "ended": tick.ended = words.dropFirst().compactMap { UserID(String($0)) }
            // A later version may say more.
            default: continue
            }
        }
        self = .tick(tick)
    }
}
