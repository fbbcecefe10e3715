import Events
import Foundation
import HoldfastCore
import Seating
import Testing

@testable import Gateway

@Suite struct SelectionRefusalTests {
    private static let event = Event(
        id: EventID(),
        title: "T",
        venue: "V",
        startsAt: .now,
        currency: "KRW",
        status: .paused,
        sale: SaleRules(),
        queue: .disabled,
        sections: [],
        generalAdmission: [],
        layoutVersion: 1,
        seatCount: 0,
        createdAt: .now
    )
    private static let none = Selection(seats: [], expiresAt: nil, fence: nil, extensionsLeft: 2, seq: 1)
    private static let seat = SeatID(section: "A", row: 1, number: 2)

    private static let outcomes: [(SelectionOutcome, ProblemCode, String)] = [
        (.unavailable([seat], none), .seatUnavailable, "A-1-2"),
        (.unavailable([], none), .seatUnavailable, "quicker"),
        (.tooFewPlaces(area: "Floor", left: 1, none), .seatUnavailable, "only 1 place"),
        (.orphans([seat], none), .orphanSeat, "A-1-2"),
        (.unknownSeats([seat]), .seatNotFound, "A-1-2"),
        (.unknownAreas(["Roof"]), .invalid, "standing area"),
        (.notAdmitted(none), .notAdmitted, "queue"),
        (.notOpen(none), .eventNotOpen, "paused"),
        (.limitExceeded(maxSeats: 4, none), .limitExceeded, "4 seats"),
        (.noneLeft(none), .seatUnavailable, "seats left"),
    ]

    @Test("Every refusal of seats names its rule, with the bound where there is one", arguments: outcomes.indices)
    func refusals(_ index: Int) throws {
        let (outcome, code, word) = Self.outcomes[index]
        do {
            _ = try outcome.granted(in: Self.event)
            Issue.record("\(outcome) was granted")
        } catch {
            #expect(error.problem.code == code)
            #expect(error.problem.detail.contains(word), "\(error.problem.detail)")
            #expect(error.problem.limit == (code == .limitExceeded ? 4 : nil))
        }
    }

    @Test("Extending too often, or nothing, names the bound or what is missing")
    func extending() throws {
        #expect {
            _ = try ExtendOutcome.limitReached(Self.none).granted()
        } throws: { error in
            let problem = (error as? SelectionRefusal)?.problem
            return problem?.code == .extensionLimit && problem?.limit == 2
        }
        #expect {
            _ = try ExtendOutcome.nothingHeld(Self.none).granted()
        } throws: { error in
            (error as? SelectionRefusal)?.problem.code == .notHeld
        }
    }

    @Test("The same refusal says the same over HTTP and over a socket")
    func bothWays() throws {
        struct Told: Decodable, Equatable {
            let code: String
            let detail: String
            let nextStep: String
            let limit: Int?
        }
        let problem = Problem.limitExceeded(4)
        let decoder = JSONDecoder()
        let http = try decoder.decode(Told.self, from: JSONEncoder().encode(ProblemBody(problem)))
        let refusal = SelectionRefusal(problem: problem, selection: Self.none)
        let socket = try decoder.decode(Told.self, from: JSONEncoder().encode(RefusalPayload(refusal)))
        #expect(http == socket)
        #expect(http.limit == 4 && http.nextStep == ProblemCode.limitExceeded.nextStep)
    }
}
