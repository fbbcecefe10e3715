import Events
import HoldfastCore
import WaitingRoom

/// A person's standing in a queue, as `/api/queue/*` and `join-queue` answer it.
struct StandingPayload: Encodable, Sendable {
    let ok = true
    let eventId: EventID
    let status: String
    @Nullable var position: Int?
    @Nullable var ahead: Int?
    @Nullable var totalWaiting: Int?
    @Nullable var etaSeconds: Int?
    let etaRange: EtaRange?
    let entryToken: String?
    let expiresAt: ServerTime?
}

/// Between how many seconds the wait is likely to be. Not measured: what the rules allow, while nobody was let in of late.
struct EtaRange: Encodable, Sendable {
    let low: Int
    let high: Int
    let measured: Bool

    init(_ wait: QueueEstimate.Wait) {
        low = wait.low
        high = wait.high
        measured = wait.isMeasured
    }
}

/// Puts standings into words and adds the entry pass of who is let in.
struct StandingWriter: Sendable {
    let passes: EntryPasses
    let feed: QueueFeed

    /// Call it last: from now on the person counts as told.
    func payload(_ standing: QueueStanding, of user: UserID, in event: EventID) async throws -> StandingPayload {
        switch feed.answering(standing, to: user, in: event) {
        case .none: plain(event, "none")
        case .closed: plain(event, "closed")
        // Without a waiting room everybody is in; there is no pass because nobody asks for one.
        case .disabled: plain(event, "admitted")
        case .lobby(let total): plain(event, "lobby", total: total)
        case .waiting(_, let position, let total, let eta):
            plain(event, "waiting", position: position, total: total, eta: eta)
        case .admitted(let expiresAt):
            StandingPayload(
                eventId: event,
                status: "admitted",
                position: nil,
                ahead: nil,
                totalWaiting: nil,
                etaSeconds: nil,
                etaRange: nil,
                entryToken: try await passes.token(for: user, in: event, expiresAt: expiresAt),
                expiresAt: expiresAt
            )
        }
    }

    private func plain(
        _ event: EventID,
        _ status: String,
        position: Int? = nil,
        total: Int? = nil,
        eta: QueueEstimate.Wait? = nil
    ) -> StandingPayload {
        StandingPayload(
            eventId: event,
            status: status,
            position: position,
            ahead: position.map { $0 - 1 },
            totalWaiting: total,
            etaSeconds: eta?.seconds,
            etaRange: eta.map { EtaRange($0) },
            entryToken: nil,
            expiresAt: nil
        )
    }
}

struct QueueStatePayload: Encodable {
    let eventId: EventID
    let waiting: Int
    let lobby: Int
    let active: Int
    let admittedTotal: Int
    let maxActive: Int
    let ratePerMinute: Int
    let passSeconds: Int
    let mode: String
    let paused: Bool
    let enabled: Bool

    init(_ state: QueueState, _ event: EventID) {
        eventId = event
        waiting = state.waiting
        lobby = state.lobby
        active = state.active
        admittedTotal = state.admittedTotal
        maxActive = state.maxActive
        ratePerMinute = state.ratePerMinute
        passSeconds = state.passSeconds
        mode = state.mode.rawValue
        paused = state.paused
        enabled = state.enabled
    }
}

/// A lobby's draw as its people see it.
struct DrawPayload: Encodable {
    struct Revealed: Encodable {
        let secret: String
    }

    let eventId: String
    let commitment: String
    let rosterRoot: String
    let rosterSize: Int
    let rosterClosed: Bool
    let revealed: Revealed?
    let proof: DrawProof?

    init(_ draw: PublishedDraw, _ proof: DrawProof?) {
        eventId = draw.eventId
        commitment = draw.commitment
        rosterRoot = draw.rosterRoot
        rosterSize = draw.leaves.count
        rosterClosed = draw.rosterClosed
        revealed = draw.secret.map { Revealed(secret: $0) }
        self.proof = proof
    }
}
