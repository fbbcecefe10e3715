import HoldfastCore
import Synchronization

/// Users looked up lately, so that a request does not cost a query.
///
/// An entry lives `lifetime` at most, which bounds how long another instance believes in an account that was disabled
/// there. Two generations make it a bounded cache without a list: when the young one is full it becomes the old one and
/// the old one is forgotten, so whoever is asked for survives.
///
/// - Bounds: twice `generationSize` users.
final class UserCache: Sendable {
    private struct Entry {
        let user: User
        let expiresAt: ContinuousClock.Instant
    }

    private struct State {
        var young: [UserID: Entry] = [:]
        var old: [UserID: Entry] = [:]
        var invalidations = 0
    }

    /// Taken before a query and handed back with its answer.
    struct Ticket: Sendable {
        fileprivate let invalidations: Int
    }

    private let lifetime: Duration
    private let generationSize: Int
    private let state = Mutex(State())

    init(lifetime: Duration = .seconds(30), generationSize: Int = 50_000) {
        self.lifetime = lifetime
        self.generationSize = generationSize
    }

    func user(_ id: UserID, now: ContinuousClock.Instant) -> User? {
        state.withLock { state in
            if let entry = state.young[id] { return now < entry.expiresAt ? entry.user : nil }
            guard let entry = state.old[id], now < entry.expiresAt else { return nil }
            Self.insert(entry, into: &state, generationSize: generationSize)
            return entry.user
        }
    }

    func ticket() -> Ticket { Ticket(invalidations: state.withLock { $0.invalidations }) }

    /// Keeps an answer, unless something was invalidated since the ticket: the answer may be older than that.
    func keep(_ user: User, ticket: Ticket, now: ContinuousClock.Instant) {
        state.withLock { state in
            guard state.invalidations == ticket.invalidations else { return }
            let entry = Entry(user: user, expiresAt: now + lifetime)
            Self.insert(entry, into: &state, generationSize: generationSize)
        }
    }

    func forget(_ id: UserID) {
        state.withLock { state in
            state.invalidations += 1
            state.young[id] = nil
            state.old[id] = nil
        }
    }

    func forgetAll() {
        state.withLock { state in
            state = State(invalidations: state.invalidations + 1)
        }
    }

    private static func insert(_ entry: Entry, into state: inout State, generationSize: Int) {
        if state.young.count >= generationSize, state.young[entry.user.userID] == nil {
            state.old = state.young
            state.young = [:]
        }
        state.young[entry.user.userID] = entry
    }
}
