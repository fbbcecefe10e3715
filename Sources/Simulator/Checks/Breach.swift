/// A promise that was broken, with what shows it.
package struct Breach: Equatable, Sendable {
    package enum Rule: String, Sendable, CaseIterable {
        case seatGrantedTwice = "a seat was granted to two people at once"
        case seatSoldTwice = "a seat was sold twice"
        case soldSeatGranted = "a sold seat was granted to another"
        case fenceNotRising = "a later grant did not have a later fence"
        case fenceShared = "two grants had the same fence"
        case holdEndedEarly = "a hold ended before its time"
        case holdEndedTwice = "a hold ended twice"
        case soldWhilePaused = "a seat was granted while the sale was paused"
        case admittedWhilePaused = "somebody was let in while the sale was paused"
        case tabNotTold = "a tab was not told what another tab of the same person chose"
        case messageGap = "a seat message was missing also after sync"
        case messageOrder = "seat messages did not rise by one"
        case messageImpossible = "a seat message did not fit the seat's state"
        case positionWorse = "a place in the queue got worse"
        case overtaken = "somebody was overtaken"
        case tooManyActive = "more people were inside than may be"
        case notRestored = "what was had did not come back with the connection"
        case reservationLost = "an order answered 201 was not found again"
        case paymentLost = "a payment answered success was not found again"
        case wrongState = "an order was found in another state than it was left"
        case nonsenseAccepted = "invalid input was accepted"
        case drawNotFair = "the draw does not hold"
        case database = "the database holds what must not be"
    }

    package let rule: Rule
    /// Whom it befell, and at whose side.
    package let fans: [Int]
    package let at: Moment
    /// The events that show it, in words.
    package let evidence: String

    package init(_ rule: Rule, fans: [Int], at: Moment, _ evidence: String) {
        self.rule = rule
        self.fans = fans
        self.at = at
        self.evidence = evidence
    }
}

extension Moment {
    /// As breaches print it.
    var text: String {
        if self == .never { return "for ever" }
        let milliseconds = self.nanoseconds / 1_000_000
        let fraction = String(abs(milliseconds % 1_000) + 1_000).dropFirst()
        return "\(milliseconds < 0 && milliseconds > -1_000 ? "-" : "")\(milliseconds / 1_000).\(fraction) s"
    }
}
