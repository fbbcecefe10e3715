import Accounts
import Events
import HTTPTypes
import HoldfastCore
import Hummingbird
import Orders
import Seating
import Sessions
import WaitingRoom

/// `/api/admin/events/{eventId}/users/{userId}/history`: a person's path through an event, for support.
///
/// The queue, the seats and the orders each keep their own part, and the audit log what others did to the event and to
/// the person's sessions; here they become one list by time.
struct HistoryRoutes: Sendable {
    /// Of each part.
    static let maxEntries = 1_000

    let events: Events
    let accounts: Accounts
    let waitingRoom: WaitingRoom
    let seats: SeatHistory
    let orders: Orders
    let authenticator: Authenticator
    let audit: AuditLog

    func add(to router: Router<GatewayContext>) {
        router.get("api/admin/events/{eventId}/users/{userId}/history", use: history)
    }

    private func history(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let admin = try await authenticator.administrator(request)
        let event = try await events.existing(context.eventID())
        guard let user = context.parameters.get("userId").flatMap({ UserID($0) }),
            try await accounts.user(user) != nil
        else { throw Problem(.notFound, "There is no user with this id.") }
        async let queue = waitingRoom.history(of: user, in: event.id, limit: Self.maxEntries)
        async let holds = seats.entries(of: user, in: event.id, limit: Self.maxEntries)
        async let steps = orders.history(of: user, in: event.id, limit: Self.maxEntries)
        async let rulings = audit.entries(
            of: event.id,
            actions: HistoryEntry.rulings,
            limit: Self.maxEntries
        )
        async let signIns = audit.entries(
            about: user,
            actions: HistoryEntry.sessions,
            limit: Self.maxEntries
        )
        let (held, isWhole) = try await holds
        let parts = [
            try await rulings.map { HistoryEntry($0) }, try await signIns.map { HistoryEntry($0) },
            try await queue.map { HistoryEntry($0) }, held.map { HistoryEntry($0) },
            HistoryEntry.ofOrders(try await steps),
        ]
        let entries = parts.flatMap { $0 }
        // Two parts may name the same millisecond; the order within each part is kept.
        let sorted = entries.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
        try await audit.record("admin.history.read", of: event.id, by: admin, context, ["user": user.rawValue])
        return .json(
            HistoryPayload(
                eventId: event.id,
                userId: user,
                isComplete: isWhole && parts.allSatisfy { $0.count < Self.maxEntries },
                history: sorted.map(\.element)
            )
        )
    }
}

private struct HistoryPayload: Encodable {
    let eventId: EventID
    let userId: UserID
    /// False when there may be more: Redis could not be asked for the last seconds, or the list is longer than what is
    /// shown.
    let isComplete: Bool
    let history: [HistoryEntry]
}

/// One step. `type` says what, `reason` why and by whom, in words.
struct HistoryEntry: Encodable {
    let at: ServerTime
    let type: String
    let reason: String
    var place: Int64?
    var expiresAt: ServerTime?
    var seatIds: [String]?
    var reservationId: ReservationID?
    var paymentId: PaymentID?
    /// The administrator who did it, or the person themself.
    var by: String?
    /// What the audit log says beside that.
    var facts: [String: String]?

    init(at: ServerTime, type: String, reason: String, by: String?, facts: [String: String]) {
        self.at = at
        self.type = type
        self.reason = reason
        self.by = by
        self.facts = facts.isEmpty ? nil : facts
    }

    init(_ entry: QueueHistoryEntry) {
        at = entry.at
        type = "queue.\(entry.step.rawValue)"
        place = entry.place
        expiresAt = entry.expiresAt
        reason =
            switch entry.step {
            case .joined: "The person joined the queue."
            case .passedOver: "The turn came while the person was away; they keep the place and go in first on return."
            case .admitted: "The waiting room let the person in."
            case .passExpired: "The entry pass was over."
            case .left: "The person left."
            case .cleared: "An administrator cleared the queue."
            }
    }

    init(_ entry: SeatHistoryEntry) {
        at = entry.at
        type = "seats.\(entry.action.rawValue)"
        seatIds = entry.seats.map(\.rawValue)
        reason =
            switch entry.action {
            case .held: "The person chose the seats."
            case .extended: "The person extended the hold."
            case .released: "The person gave the seats back."
            case .expired: "The hold's time was over."
            case .lost: "Somebody else had ordered the seats."
            case .blocked: "An administrator took the seats off sale; the audit log says who."
            case .wiped: "Redis was lost and rebuilt: every hold ended."
            }
    }

    /// In order. Money that came after the end of an order tells so.
    static func ofOrders(_ entries: [OrderHistoryEntry]) -> [HistoryEntry] {
        var ended: Set<ReservationID> = []
        return entries.map { entry in
            switch entry.change {
            case .expired, .cancelled: ended.insert(entry.reservation)
            case .created, .paying, .declined, .paid, .refundDue, .refunded: break
            }
            return HistoryEntry(entry, isLate: ended.contains(entry.reservation))
        }
    }

    private init(_ entry: OrderHistoryEntry, isLate: Bool) {
        at = entry.at
        type = "order.\(entry.change.rawValue.replacing("_", with: "-"))"
        seatIds = entry.seats
        reservationId = entry.reservation
        paymentId = entry.payment
        reason =
            switch entry.change {
            case .created: "The person ordered the seats."
            case .paying: "A payment began."
            case .declined: "The payment was declined; the order waits for another."
            case .paid where isLate: "The payment came after the order's end; its seats were still free and are sold."
            case .paid: "The order was paid."
            case .expired: "The order was not paid in time; its seats were given back."
            case .cancelled: "The person cancelled the order; its seats were given back."
            case .refundDue: "Money came that pays for nothing any more; it is sent back."
            case .refunded: "The money was sent back."
            }
    }
}
