/// Bugs that somebody could write into the rules, each of which the simulation must catch.
enum OrderMutant: String, CaseIterable, Sendable {
    /// A claim does not look whether the seat has a live one.
    case doubleClaim
    /// A grant of an earlier life of Redis may buy.
    case staleEpoch
    /// A grant older than the last that bought the seat may buy.
    case staleFence
    /// Sending the same key again orders again.
    case keyForgotten
    /// The sweeper ends what is being paid.
    case sweepPaying
    /// What is being paid can be cancelled.
    case cancelWhilePaying
    /// Money that came too late makes the order paid without looking at the seats.
    case paidWithoutSeats
    /// Money that came too late for seats that are gone is kept.
    case lateMoneyKept
    /// The money of a second attempt is kept.
    case secondMoneyKept
    /// A refusal that comes after the money undoes the payment.
    case lateRefusal
    /// Each refund is a new one for the bank.
    case doubleRefund
    /// Redis is told by whoever committed, and by nobody else.
    case noOutbox
    /// A late word about a claim that was given back marks its seats again.
    case resurrection
    /// A late word about an earlier claim of a seat undoes the later one.
    case noOrder
    /// A word from an earlier life of Redis is carried out in a later one.
    case notPinned
    /// A claim that was given back is freed in a life of Redis that is about to end. The simulation found this one.
    case freeNotPinned
    /// A rebuild reads the claims before it ends the old life.
    case rebuildReadsFirst
    /// The log is written after the commit.
    case logAfterCommit
}
