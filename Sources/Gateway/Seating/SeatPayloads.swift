import Events
import HoldfastCore
import Seating

// What seats look like on the wire: over HTTP and in Socket.IO acknowledgements.

struct SelectionPayload: Encodable {
    let ok = true
    let selectedSeats: [SeatID]
    /// Of each standing area, how many of the places among them.
    let generalAdmission: [String: Int]?
    /// Over HTTP: the seats that were asked for, or found.
    let seatIds: [SeatID]?
    /// The seats given in place of those wanted.
    let alternative: [SeatID]?
    @Nullable var expiresAt: ServerTime?
    @Nullable var fence: Fence?
    let extensionsLeft: Int
    let seq: Int64

    /// - Parameters:
    ///   - wanted: the seats the person named, if they did.
    ///   - given: over HTTP the answer says which seats the request gave.
    init(_ selection: Selection, wanted: [SeatID]? = nil, showsGiven: Bool = false) {
        selectedSeats = selection.seats
        generalAdmission = StandingPlaces.counted(selection.seats)
        let held = Set(selection.seats)
        let named = (wanted ?? []).filter { !StandingPlaces.isOne($0) }
        let isOther = !named.allSatisfy(held.contains)
        alternative = isOther ? selection.given.filter { !StandingPlaces.isOne($0) } : nil
        let kept = (wanted ?? []).filter(held.contains)
        seatIds = showsGiven ? kept + selection.given.filter { !kept.contains($0) } : nil
        expiresAt = selection.expiresAt
        fence = selection.fence
        extensionsLeft = selection.extensionsLeft
        seq = selection.seq
    }
}

/// Standing places in lists of seats: `Floor-0-17`.
enum StandingPlaces {
    static func isOne(_ seat: SeatID) -> Bool { area(of: seat) != nil }

    /// How many of each area; nil without any.
    static func counted(_ seats: [SeatID]) -> [String: Int]? {
        var counts: [String: Int] = [:]
        for seat in seats { if let area = area(of: seat) { counts[area, default: 0] += 1 } }
        return counts.isEmpty ? nil : counts
    }

    /// Rows of numbered seats begin at 1.
    private static func area(of seat: SeatID) -> String? {
        let name = seat.rawValue
        guard let dash = name.lastIndex(of: "-"), name[..<dash].hasSuffix("-0") else { return nil }
        return String(name[..<dash].dropLast(2))
    }
}

/// A refused selection: what is in the way, and what the person has now.
struct SelectionRefusal: Error {
    let problem: Problem
    let selection: Selection?
}

extension SelectionOutcome {
    /// - Throws: ``SelectionRefusal`` for every answer but a granted selection.
    func granted(in event: Event) throws(SelectionRefusal) -> Selection {
        switch self {
        case .selected(let selection):
            return selection
        case .unavailable(let seats, let selection):
            let detail =
                seats.isEmpty
                ? "Others were quicker to the seats that suited; try again, or choose from the map."
                : "Somebody else has \(seats.list); choose others."
            throw .init(.seatUnavailable, detail, seats, selection)
        case .tooFewPlaces(let area, let left, let selection):
            let places = left == 0 ? "no places" : left == 1 ? "only 1 place" : "only \(left) places"
            throw .init(.seatUnavailable, "\(area) has \(places) left; ask for fewer or elsewhere.", [], selection)
        case .orphans(let seats, let selection):
            let errors = seats.prefix(20).map { Problem.FieldError("seatIds", "would leave \($0) alone") }
            let detail = "Your choice would leave \(seats.list) alone; take it too, or move your seats by one."
            throw SelectionRefusal(problem: Problem(.orphanSeat, detail, errors: errors), selection: selection)
        case .unknownSeats(let seats):
            throw SelectionRefusal(problem: .unknownSeats(seats), selection: nil)
        case .unknownAreas(let names):
            let errors = names.prefix(20).map { Problem.FieldError("generalAdmission.\($0)", "is no standing area") }
            let detail = "The event has no such standing area; it lists its own in generalAdmission."
            throw SelectionRefusal(problem: Problem(.invalid, detail, errors: errors), selection: nil)
        case .notAdmitted(let selection):
            throw SelectionRefusal(problem: .notAdmitted, selection: selection)
        case .notOpen(let selection):
            let detail =
                "Seats can be chosen only while the sale is open; it is \(event.status.rawValue). "
                + "What you hold stays yours until its time is over."
            throw .init(.eventNotOpen, detail, [], selection)
        case .limitExceeded(let most, let selection):
            throw SelectionRefusal(problem: .limitExceeded(most), selection: selection)
        case .noneLeft(let selection):
            throw .init(
                .seatUnavailable,
                "There are not so many seats left, together or apart; ask for fewer, or in another section.",
                [],
                selection
            )
        }
    }
}

extension [SeatID] {
    /// For a sentence: a few of them by name.
    var list: String {
        let named = prefix(6).map(\.rawValue).joined(separator: ", ")
        return count > 6 ? "\(named) and \(count - 6) more" : named
    }
}

extension SelectionRefusal {
    fileprivate init(_ code: ProblemCode, _ detail: String, _ seats: [SeatID], _ selection: Selection?) {
        self.init(problem: Problem(code, detail, unavailable: seats), selection: selection)
    }
}

extension Problem {
    static let notAdmitted = Problem(.notAdmitted, "Your turn has not come: join the queue and wait to be let in.")

    static func unknownSeats(_ seats: [SeatID]) -> Problem {
        Problem(.seatNotFound, "The event has no \(seats.list); take the names from its layout.", unavailable: seats)
    }

    static func limitExceeded(_ most: Int) -> Problem {
        Problem(
            .limitExceeded,
            "One person may have at most \(most) seats of this event, held, reserved and paid together; give some back.",
            errors: [.init("seatIds", "would make more than \(most) seats")],
            limit: most
        )
    }
}

extension ExtendOutcome {
    func granted() throws(SelectionRefusal) -> Selection {
        switch self {
        case .extended(let selection):
            return selection
        case .nothingHeld(let selection):
            throw .init(.notHeld, "You hold no seats of this event; choose some first.", [], selection)
        case .limitReached(let selection):
            let most = Selection.maxExtensions
            let detail = "The hold was extended \(most) times, as often as it may be; reserve the seats before it ends."
            throw SelectionRefusal(problem: Problem(.extensionLimit, detail, limit: most), selection: selection)
        }
    }
}
