import HoldfastCore

/// The people of a room in shares, so that what is done for all of them every few seconds is done for some of them at
/// every step.
///
/// Twenty thousand at once would be looked up, and written to, in one burst that everything else waits for.
struct FeedTurns: Sendable {
    static let shares = 60

    /// Goes round all shares in `period`, however late its steps come.
    struct Round: Sendable {
        let period: Duration
        private var next = 0
        /// The moment up to which shares were taken; nil before the first step.
        private var taken: ContinuousClock.Instant?

        init(every period: Duration) { self.period = period }

        /// The shares whose turn has come since the last call; the first time all of them.
        mutating func shares(at now: ContinuousClock.Instant) -> [Int] {
            guard let taken else {
                self.taken = now
                return Array(0..<FeedTurns.shares)
            }
            let one = period / FeedTurns.shares
            let due = min(FeedTurns.shares, max(0, Int((now - taken) / one)))
            self.taken = due == FeedTurns.shares ? now : taken + one * due
            defer { next = (next + due) % FeedTurns.shares }
            return (next..<next + due).map { $0 % FeedTurns.shares }
        }
    }

    private var members = Array(repeating: Set<UserID>(), count: Self.shares)
    private var nextShare = 0

    /// - Returns: the share the person is in; for ``remove(_:from:)``.
    mutating func add(_ user: UserID) -> Int {
        defer { nextShare = (nextShare + 1) % Self.shares }
        members[nextShare].insert(user)
        return nextShare
    }

    mutating func remove(_ user: UserID, from share: Int) { members[share].remove(user) }

    func people(in shares: [Int]) -> some Sequence<UserID> { shares.lazy.flatMap { members[$0] } }
}
