/// Wakes many fans at their times with one timer of the loop.
///
/// - Shape: a circle of slots, each a stretch of time; a fan lies in the slot of its moment, or, if that is more than a
///   turn ahead, in the slot where it will be looked at again.
/// - Bounds: a moment is kept to within one slot, 5 ms; a fan may lie in it several times, and is asked whether it is due.
package struct TimerWheel: Sendable {
    static let slot = Duration.milliseconds(5)
    private static let slotCount = 4_096

    private var slots: [[(fan: Int32, at: Moment)]] = Array(repeating: [], count: Self.slotCount)
    /// The slot that is looked at next, counted from the beginning.
    private var next: Int64 = 0

    package init() {}

    package mutating func add(_ fan: Int32, at moment: Moment) {
        let wanted = moment.nanoseconds / Self.slot.nanoseconds
        let slot = min(max(wanted, self.next), self.next + Int64(Self.slotCount) - 1)
        self.slots[Int(slot % Int64(Self.slotCount))].append((fan, moment))
    }

    /// Those whose moment has come.
    package mutating func due(_ now: Moment) -> [Int32] {
        var due: [Int32] = []
        let last = now.nanoseconds / Self.slot.nanoseconds
        while self.next <= last {
            let index = Int(self.next % Int64(Self.slotCount))
            let entries = self.slots[index]
            self.slots[index] = []
            self.next += 1
            for entry in entries {
                if entry.at <= now { due.append(entry.fan) } else { self.add(entry.fan, at: entry.at) }
            }
        }
        return due
    }
}
