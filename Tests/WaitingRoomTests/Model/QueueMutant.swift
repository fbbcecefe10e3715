/// Mistakes that the rules of the waiting room could have. The checker must find each of them.
enum QueueMutant: String, CaseIterable, Sendable {
    /// Joining again takes a new place.
    case joinCostsThePlace
    /// Who comes back after being away stands at the end.
    case returnCostsThePlace
    /// Nobody asks whether the next one is there.
    case admitsTheAbsent
    /// The last one goes in first.
    case lastFirst
    /// People who are being written down hold no slot.
    case choiceHoldsNoSlot
    /// The bucket has no brim.
    case bucketWithoutBrim
    /// The bucket fills while the queue is paused.
    case bucketFillsWhilePaused
    /// Passes count before PostgreSQL has them.
    case announcedBeforeTheBooks
    /// A leader whose rules are old goes on with them.
    case oldRulesCount
    /// An admission is let in however long ago it was written down.
    case lateAnswersCount
    /// A pass is good until a tick ends it.
    case passesEndAtTicks
    /// Leaving leaves the slot taken.
    case leavingKeepsTheSlot
    /// The books end a pass of which nobody was told yet.
    case unheardPassesEnd
    /// A rebuild gives the places out anew, by name.
    case rebuildByName
    /// A rebuild forgets the passes.
    case rebuildWithoutPasses
    /// A leader of an earlier term goes on beside the new one.
    case noFence
}
