import NIOCore
import Seating

/// Keeps one event's seat messages in order and without a gap, whatever Pub/Sub loses.
///
/// Messages carry a `seq` that rises by one. A higher one than the next means that Redis' Pub/Sub dropped some: what
/// came is kept aside while the missing ones are read from the event's log. Pure: no I/O, no clock.
///
/// - Bounds: at most ``maxPending`` messages are kept aside; past it they are dropped and read from the log afterwards.
struct SeatSequence {
    struct Message: Equatable, Sendable {
        let kind: SeatChange.Kind
        let seq: Int64
        let payload: ByteBuffer
    }

    enum Action: Equatable {
        case relay([Message])
        case readLog(after: Int64)
        case none
    }

    static let maxPending = 1_024

    private(set) var last: Int64?
    private var pending: [Message] = []
    /// The log was asked for, and has not answered.
    private(set) var isReading = false
    private var hasDropped = false

    mutating func receive(_ message: Message) -> Action {
        if isReading {
            if pending.count < Self.maxPending { pending.append(message) } else { hasDropped = true }
            return .none
        }
        guard let last else {
            self.last = message.seq
            return .relay([message])
        }
        if message.seq <= last { return .none }
        if message.seq == last + 1 {
            self.last = message.seq
            return .relay([message])
        }
        pending.append(message)
        isReading = true
        return .readLog(after: last)
    }

    /// The subscription came back after a loss: what was missed has to be read even if nobody says more.
    mutating func resubscribed() -> Action {
        guard let last, !isReading else { return .none }
        isReading = true
        return .readLog(after: last)
    }

    /// What the log held. Messages kept aside meanwhile follow; a new gap among them is read next.
    mutating func read(_ messages: [Message]) -> [Action] {
        isReading = false
        var actions: [Action] = []
        let fresh = messages.filter { $0.seq > (last ?? .min) }
        if let newest = fresh.last {
            last = newest.seq
            actions.append(.relay(fresh))
        }
        let waiting = pending
        pending = []
        for message in waiting {
            let action = receive(message)
            if action != .none { actions.append(action) }
        }
        if hasDropped {
            hasDropped = false
            let action = resubscribed()
            if action != .none { actions.append(action) }
        }
        return actions
    }

    /// The log no longer reaches back: clients see the gap and ask for a snapshot themselves.
    mutating func restart(at seq: Int64) {
        isReading = false
        hasDropped = false
        pending = []
        last = seq
    }
}
