import DequeModule
import NIOCore

/// Decides which connection takes a request, and who waits when none has room. Pure: no I/O, no clock, no lock.
///
/// Waiters are served strictly in order: a newcomer joins the end of the line even if a connection could take it, so that
/// a long pipeline is never starved by short ones. The line holds `maxWaiting` requests; past it they are refused at once.
struct Dispatch<Request, Connection> {
    enum Decision {
        case assign(Connection)
        case wait
        /// The line is full.
        case overloaded
        /// Nothing can be sent until an operator acts, or ever again.
        case refuse(RedisError)
    }

    private struct Slot {
        var connection: Connection?
        var inFlight = 0
    }

    private struct Waiter {
        let request: Request
        let count: Int
        let deadline: NIODeadline
    }

    private var slots: [Slot]
    private var waiters: Deque<Waiter> = []
    private var rotor = 0
    private let maxInFlight: Int
    private let maxWaiting: Int
    private var refusal: RedisError?
    private(set) var isShutDown = false
    /// Why the last attempt to connect failed; told to those whose deadline passes in the line.
    private(set) var lastFailure: RedisError?

    init(slots: Int, maxInFlight: Int, maxWaiting: Int) {
        self.slots = Array(repeating: Slot(), count: slots)
        self.maxInFlight = maxInFlight
        self.maxWaiting = maxWaiting
    }

    var waitingCount: Int { waiters.count }
    var inFlightCount: Int { slots.reduce(0) { $0 + $1.inFlight } }
    var connectedCount: Int { slots.count { $0.connection != nil } }
    var connections: [Connection] { slots.compactMap(\.connection) }
    var isIdle: Bool { waiters.isEmpty && inFlightCount == 0 }

    mutating func submit(
        _ request: Request,
        count: Int,
        deadline: NIODeadline,
        hasEnded: (Request) -> Bool
    ) -> Decision {
        if isShutDown { return .refuse(Self.closing) }
        if let refusal { return .refuse(refusal) }
        if waiters.isEmpty, let connection = take(count) { return .assign(connection) }
        if waiters.count >= maxWaiting { waiters.removeAll { hasEnded($0.request) } }
        guard waiters.count < maxWaiting else { return .overloaded }
        waiters.append(Waiter(request: request, count: count, deadline: deadline))
        return .wait
    }

    /// The least loaded connection with room; among equals the next in turn.
    private mutating func take(_ count: Int) -> Connection? {
        var best: Int?
        for offset in slots.indices {
            let index = (rotor + offset) % slots.count
            guard slots[index].connection != nil, slots[index].inFlight + count <= maxInFlight else { continue }
            if best.map({ slots[index].inFlight < slots[$0].inFlight }) ?? true { best = index }
        }
        guard let best else { return nil }
        rotor = (best + 1) % slots.count
        slots[best].inFlight += count
        return slots[best].connection
    }

    /// Waiters that may go now, each with its connection.
    private mutating func admit(_ hasEnded: (Request) -> Bool) -> [(Request, Connection)] {
        var admitted: [(Request, Connection)] = []
        while let waiter = waiters.first {
            if hasEnded(waiter.request) {
                waiters.removeFirst()
                continue
            }
            guard let connection = take(waiter.count) else { break }
            waiters.removeFirst()
            admitted.append((waiter.request, connection))
        }
        return admitted
    }

    mutating func connected(
        _ slot: Int,
        _ connection: Connection,
        hasEnded: (Request) -> Bool
    ) -> [(Request, Connection)] {
        slots[slot] = Slot(connection: connection)
        (refusal, lastFailure) = (nil, nil)
        return admit(hasEnded)
    }

    /// `count` commands of the slot's connection are answered or will never be written.
    mutating func release(_ slot: Int, _ count: Int, hasEnded: (Request) -> Bool) -> [(Request, Connection)] {
        slots[slot].inFlight = max(0, slots[slot].inFlight - count)
        return waiters.isEmpty ? [] : admit(hasEnded)
    }

    mutating func lost(_ slot: Int) {
        slots[slot] = Slot()
    }

    /// An attempt to connect failed. When Redis refused our user, all who wait are told now: waiting would not help.
    mutating func failed(_ error: RedisError) -> [Request] {
        lastFailure = error
        guard error.code == .authentication || error.code == .invalidConfiguration, connectedCount == 0 else {
            return []
        }
        refusal = error
        defer { waiters = [] }
        return waiters.map(\.request)
    }

    mutating func expire(now: NIODeadline) -> (overdue: [Request], next: NIODeadline?) {
        var overdue: [Request] = []
        var next: NIODeadline?
        waiters.removeAll { waiter in
            guard waiter.deadline > now else {
                overdue.append(waiter.request)
                return true
            }
            next = min(next ?? waiter.deadline, waiter.deadline)
            return false
        }
        return (overdue, next)
    }

    /// Refuses all that comes later; returns those who still wait and the connections to close.
    mutating func shutDown() -> (waiting: [Request], connections: [Connection]) {
        isShutDown = true
        defer { waiters = [] }
        return (waiters.map(\.request), connections)
    }

    private static var closing: RedisError {
        RedisError(.shutDown, "the Redis client is closed")
    }
}
