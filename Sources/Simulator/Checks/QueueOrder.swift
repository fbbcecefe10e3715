/// Everybody's way through the queue: places that never get worse, nobody overtaken, no more inside than may be.
///
/// Who was before whom is known without doubt where one had the answer to their joining before the other sent theirs.
/// Overtaken is who was there all the time and still waits some time after somebody behind them was let in.
///
/// A later word about a place must not be worse: what a socket says than what the fan's sockets said before, and an answer
/// than whatever the fan knew when asking. An HTTP answer and a socket's message that cross have no order.
///
/// - Bounds: one entry per user, one moment per admission, 64 places told per fan.
package struct QueueOrder: Sendable {
    private struct Stay {
        let number: Int
        /// When joining was first sent, and first answered.
        var joinSent: Moment
        var joinRead: Moment?
        var isDrawn = false
        var admittedAt: Moment?
        var passUntil = Moment.never
        /// Place and how many had gone when it was told, to know what later places mean.
        var firstPlace: (position: Int, gone: Int)?
    }

    private struct Presence {
        var sockets = 0
        var since = Moment.never
    }

    /// A place told to a fan.
    private struct Word {
        let stay: Int
        let position: Int
        let at: Moment
        let way: Way
    }

    /// How a place is told.
    package enum Way: Sendable, CustomStringConvertible {
        case message
        case restored
        /// To who asked at that moment.
        case answer(askedAt: Moment)
        case http(askedAt: Moment)

        var isHTTP: Bool { if case .http = self { true } else { false } }

        var askedAt: Moment? {
            switch self {
            case .message, .restored: nil
            case .answer(let moment), .http(let moment): moment
            }
        }

        package var description: String {
            switch self {
            case .message: "by a message"
            case .restored: "with the connection"
            case .answer(let moment): "as asked at \(moment.text)"
            case .http(let moment): "by HTTP as asked at \(moment.text)"
            }
        }
    }

    private struct Admission {
        let user: Int
        let at: Moment
        let joinSent: Moment
    }

    /// Two ticks of a leader and a take-over by another, and the way of the message.
    static let grace = Duration.seconds(5)
    /// How long one must have been there to count as present.
    static let settling = Duration.seconds(6)
    static let tolerance = Duration.milliseconds(250)

    private let maxActive: Int?
    private var stays: [Int: Stay] = [:]
    private var presences: [Int: Presence] = [:]
    /// The last places told to each fan, in order; tabs of one user are told by different sockets.
    private var words: [Int: [Word]] = [:]
    private static let mostWords = 64
    private var stayCount = 0
    /// When each user's last stay ended: what tabs are told of it may be on its way still.
    private var lastEnded: [Int: Moment] = [:]
    private var unjudged: [Admission] = []
    /// When each place ahead became free, as seen from here.
    private var gone: [Moment] = []
    package private(set) var admitted = 0
    package private(set) var mostActive = 0
    private var breaches: [Breach] = []

    package init(maxActive: Int? = nil) { self.maxActive = maxActive }

    package mutating func takeBreaches() -> [Breach] {
        defer { self.breaches = [] }
        return self.breaches
    }

    package func isWaiting(_ user: Int) -> Bool {
        self.stays[user].map { $0.joinRead != nil && $0.admittedAt == nil } ?? false
    }
    package var waiting: Int { self.stays.values.count { $0.joinRead != nil && $0.admittedAt == nil } }

    /// Whether a connection of theirs has been there all the time.
    func wasHere(_ user: Int, since moment: Moment) -> Bool {
        self.presences[user].map { $0.since < moment } ?? false
    }

    // MARK: What was done and answered

    package mutating func connected(_ user: Int, at: Moment) {
        var presence = self.presences[user] ?? Presence()
        if presence.sockets == 0 { presence.since = at }
        presence.sockets += 1
        self.presences[user] = presence
    }

    package mutating func disconnected(_ user: Int, at: Moment) {
        guard var presence = self.presences[user] else { return }
        presence.sockets = max(presence.sockets - 1, 0)
        if presence.sockets == 0 { presence.since = .never }
        self.presences[user] = presence
    }

    package mutating func sentJoin(_ user: Int, at: Moment) {
        if self.stays[user] == nil { self.begin(user, at) }
    }

    private mutating func begin(_ user: Int, _ joinSent: Moment) {
        self.stayCount += 1
        self.stays[user] = Stay(number: self.stayCount, joinSent: joinSent)
    }

    /// Joining was answered: the person waits.
    package mutating func joined(_ user: Int, isDrawn: Bool, sentAt: Moment, at: Moment) {
        // The pass ran out while nobody was there to be told: this is a new place.
        if let stay = self.stays[user], stay.admittedAt != nil, stay.passUntil < sentAt { self.begin(user, sentAt) }
        guard var stay = self.stays[user], stay.admittedAt == nil else { return }
        if stay.joinRead == nil { stay.joinRead = at }
        stay.isDrawn = stay.isDrawn || isDrawn
        self.stays[user] = stay
    }

    /// A place that was told to a fan, by an answer or by a message.
    ///
    /// - Returns: how old the news is: how long ago the last of those who had to go for it was seen to go.
    @discardableResult
    package mutating func told(
        _ fan: Int,
        of user: Int,
        position: Int,
        way: Way = .message,
        at: Moment
    ) -> Duration? {
        guard var stay = self.stays[user], stay.admittedAt == nil else { return nil }
        if let ended = self.lastEnded[user], at < ended + Self.settling { return nil }
        let word = Word(stay: stay.number, position: position, at: at, way: way)
        let before = self.words[fan, default: []]
            .filter { $0.stay == stay.number && Self.binds($0, word) }
            .min { $0.position < $1.position }
        if let before, position > before.position {
            let words =
                "fan \(fan): place \(before.position) was told at \(before.at.text) \(before.way), then \(position) "
                + "\(way)"
            self.breaches.append(Breach(.positionWorse, fans: [user], at: at, words))
        }
        self.words[fan, default: []].append(word)
        if self.words[fan, default: []].count > Self.mostWords { self.words[fan]?.removeFirst() }
        guard let first = stay.firstPlace else {
            stay.firstPlace = (position, self.gone.count)
            self.stays[user] = stay
            return nil
        }
        let needed = first.gone + first.position - position
        guard needed > first.gone, needed <= self.gone.count else { return nil }
        return max(at - self.gone[needed - 1], .zero)
    }

    /// Whether `later` must not be worse than `earlier`: both came by socket, or the fan knew when asking.
    private static func binds(_ earlier: Word, _ later: Word) -> Bool {
        if !earlier.way.isHTTP, !later.way.isHTTP { return true }
        return later.way.askedAt.map { earlier.at <= $0 } ?? false
    }

    package mutating func admitted(_ user: Int, until: Moment, at: Moment) {
        guard var stay = self.stays[user] else { return }
        stay.passUntil = until
        if stay.admittedAt == nil {
            stay.admittedAt = at
            self.admitted += 1
            self.gone.append(at)
            if !stay.isDrawn, stay.joinRead != nil {
                self.unjudged.append(Admission(user: user, at: at, joinSent: stay.joinSent))
            }
        }
        self.stays[user] = stay
    }

    /// A pass is over. Who has left and joined again meanwhile hears it late: it is not about the place they wait at.
    package mutating func passEnded(_ user: Int, at: Moment) {
        if self.stays[user]?.admittedAt != nil { self.ended(user, at: at) }
    }

    /// The stay is over, or may be: the person left, the queue was cleared.
    package mutating func ended(_ user: Int, at: Moment) {
        guard let stay = self.stays.removeValue(forKey: user) else { return }
        self.lastEnded[user] = at
        if stay.admittedAt == nil { self.gone.append(at) }
    }

    // MARK: Checks

    /// Judges what is old enough to be judged. Call it a few times a second.
    package mutating func tick(_ now: Moment) {
        self.countActive(now)
        let due = self.unjudged.filter { $0.at + Self.grace <= now }
        guard !due.isEmpty else { return }
        self.unjudged.removeAll { $0.at + Self.grace <= now }
        let waiting = self.presentSinceLong()
        for admission in due {
            let overtaken = waiting.first { $0.joined < admission.joinSent && $0.since + Self.settling < admission.at }
            guard let overtaken else { continue }
            let words =
                "the first joined by \(overtaken.joined.text) and waits still; the second sent theirs at "
                + "\(admission.joinSent.text) and was let in at \(admission.at.text)"
            self.breaches.append(Breach(.overtaken, fans: [overtaken.user, admission.user], at: now, words))
        }
    }

    /// Those who wait and are there, earliest first, with the moment since when both is so.
    private func presentSinceLong() -> [(user: Int, joined: Moment, since: Moment)] {
        var list: [(user: Int, joined: Moment, since: Moment)] = []
        for (user, stay) in self.stays where stay.admittedAt == nil && !stay.isDrawn {
            guard let joined = stay.joinRead, let presence = self.presences[user], presence.since != .never else {
                continue
            }
            list.append((user, joined, max(presence.since, joined)))
        }
        return list.sorted { ($0.joined, $0.user) < ($1.joined, $1.user) }
    }

    private mutating func countActive(_ now: Moment) {
        var active = 0
        for stay in self.stays.values {
            if let at = stay.admittedAt, at <= now, stay.passUntil > now + Self.tolerance { active += 1 }
        }
        if let maxActive, active > maxActive, self.mostActive <= maxActive {
            self.breaches.append(
                Breach(.tooManyActive, fans: [], at: now, "\(active) passes are alive, \(maxActive) may be")
            )
        }
        self.mostActive = max(self.mostActive, active)
    }
}
