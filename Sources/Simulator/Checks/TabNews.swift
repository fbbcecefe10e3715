import HoldfastCore

/// That each tab of a person is told what another of their tabs chose.
///
/// A tab counts from when it is in the event's room. It need not hear each choice: one word may tell several, so what is
/// waited for is a word about this grant or a later one.
///
/// - Bounds: one entry per tab that is there, one wait per tab and grant.
struct TabNews: Sendable {
    private struct Wait {
        let fan: Int
        let user: Int
        let fence: Fence
        let since: Moment
    }

    /// How long a word may take on a busy machine.
    static let patience = Duration.seconds(10)

    /// Each person's tabs, and since when each is in the room.
    private var tabs: [Int: [Int: Moment]] = [:]
    private var lastTold: [Int: Fence] = [:]
    private var waits: [Wait] = []
    private var breaches: [Breach] = []

    mutating func takeBreaches() -> [Breach] {
        defer { self.breaches = [] }
        return self.breaches
    }

    mutating func came(_ fan: Int, _ user: Int, at: Moment) { self.tabs[user, default: [:]][fan] = at }

    /// Its next connection is told all anew.
    mutating func left(_ fan: Int, _ user: Int) {
        self.tabs[user]?[fan] = nil
        if self.tabs[user]?.isEmpty == true { self.tabs[user] = nil }
        self.lastTold[fan] = nil
        self.waits.removeAll { $0.fan == fan }
    }

    /// One tab was answered a new grant.
    mutating func chose(_ fan: Int, _ user: Int, _ fence: Fence, sentAt: Moment, at: Moment) {
        for (other, since) in self.tabs[user] ?? [:] where other != fan && since < sentAt {
            if let told = self.lastTold[other], told >= fence { continue }
            self.waits.append(Wait(fan: other, user: user, fence: fence, since: at))
        }
    }

    /// A tab is told what the person holds; nil: nothing any more, which is later than any choice waited for.
    mutating func told(_ fan: Int, _ fence: Fence?) {
        if let fence { self.lastTold[fan] = max(fence, self.lastTold[fan] ?? fence) }
        self.waits.removeAll { wait in wait.fan == fan && fence.map { $0 >= wait.fence } ?? true }
    }

    /// Choices of an earlier life of the seats are nobody's news any more.
    mutating func forget(before fence: Fence) { self.waits.removeAll { $0.fence.epoch < fence.epoch } }

    mutating func tick(_ now: Moment) {
        for wait in self.waits where wait.since + Self.patience < now {
            let words = "fence \(wait.fence) was answered to the one tab at \(wait.since.text)"
            self.breaches.append(Breach(.tabNotTold, fans: [wait.user], at: now, words))
        }
        self.waits.removeAll { $0.since + Self.patience < now }
    }
}
