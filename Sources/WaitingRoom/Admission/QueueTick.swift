import HoldfastCore

/// What one step of the leader changed, as every instance hears it.
///
/// - Shape: lines of words, because names and numbers hold no spaces:
///   `tick EPOCH NUMBER PREFIX WAITING LOBBY ACTIVE NOW_MS PACE_THOUSANDTHS PACE_MS`, then as needed `gone QSEQ…`,
///   pairs `admitted USER EXPIRES_MS…`, `ended USER…`; or the single word `cleared`.
/// - Bounds: at most 4,000 places and users, as `QueueTick.lua` tells at once.
struct QueueTick: Sendable, Equatable {
    struct Pass: Sendable, Equatable {
        var user: UserID
        var expiresAt: ServerTime
    }

    var epoch: Int64
    var number: Int64
    var prefix: Int64
    var waiting: Int
    var lobby: Int
    var active: Int
    var now: ServerTime
    var pace: QueuePace
    var gone: [Int64] = []
    var admitted: [Pass] = []
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
        guard let head = lines.next()?.split(separator: " "), head.count == 10, head[0] == "tick",
            let epoch = Int64(head[1]), let number = Int64(head[2]), let prefix = Int64(head[3]),
            let waiting = Int(head[4]), let lobby = Int(head[5]), let active = Int(head[6]), let now = Int64(head[7]),
            let paceThousandths = Int(head[8]), let paceMs = Int(head[9])
        else { return nil }
        var tick = QueueTick(
            epoch: epoch,
            number: number,
            prefix: prefix,
            waiting: waiting,
            lobby: lobby,
            active: active,
            now: ServerTime(millisecondsSinceEpoch: now),
            pace: QueuePace(admittedThousandths: paceThousandths, milliseconds: paceMs)
        )
        while let line = lines.next() {
            let words = line.split(separator: " ")
            switch words.first {
            case "gone": tick.gone = words.dropFirst().compactMap { Int64($0) }
            case "admitted":
                for index in stride(from: 1, to: words.count - 1, by: 2) {
                    guard let user = UserID(String(words[index])), let until = Int64(words[index + 1]) else {
                        return nil
                    }
                    tick.admitted.append(
                        QueueTick.Pass(user: user, expiresAt: ServerTime(millisecondsSinceEpoch: until))
                    )
                }
            case "ended": tick.ended = words.dropFirst().compactMap { UserID(String($0)) }
            // A later version may say more.
            default: continue
            }
        }
        self = .tick(tick)
    }
}
