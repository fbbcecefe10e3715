import Events
import HoldfastCore
import Synchronization

/// Gathers joins of this instance, so that a rush costs one transaction for hundreds of people.
///
/// A group of an event waits for at most 5 ms, or for the group before it to be written, whichever is later; so at
/// most one group of an event is at the database at a time, and the busier it is the larger the groups become.
///
/// - Bounds: 500 people in a group, 20,000 waiting per event; beyond that joins are refused at once with
///   ``ProblemCode/unavailable``, for they would wait longer than a person does.
final class JoinGroups: Sendable {
    typealias Write = @Sendable ([UserID], Event) async throws -> [UserID: QueueStanding]
    private typealias Written = Task<[UserID: QueueStanding], any Error>

    static let groupSize = 500
    static let capacity = 20_000
    private static let patience = Duration.milliseconds(5)

    private struct Group {
        var number: Int
        var event: Event
        var users: [UserID] = []
        var task: Written
    }

    private struct Line {
        /// Groups that have not begun to be written; only the last takes more people.
        var groups: [Group] = []
        var last: Written?
        var running = 0
        var waiting: Int { groups.reduce(0) { $0 + $1.users.count } }
    }

    private struct State {
        var lines: [EventID: Line] = [:]
        var nextNumber = 0
    }

    private let state = Mutex(State())
    private let write: Write

    init(write: @escaping Write) {
        self.write = write
    }

    func join(_ user: UserID, _ event: Event) async throws -> QueueStanding {
        let task: Written = try state.withLock { state in
            // Taken out, not copied: a second owner would make every append copy the whole group.
            var line = state.lines.removeValue(forKey: event.id) ?? Line()
            defer { state.lines[event.id] = line }
            if let last = line.groups.indices.last, line.groups[last].users.count < Self.groupSize {
                line.groups[last].users.append(user)
                // The newest look at the event: its rules may have changed since the group was begun.
                line.groups[last].event = event
                return line.groups[last].task
            }
            guard line.waiting < Self.capacity else {
                throw Problem(.unavailable, "Too many people are joining at this moment. Try again in a moment.")
            }
            state.nextNumber += 1
            let number = state.nextNumber
            let previous = line.last
            // Not a child of this join: others wait for the same group, and one of them giving up must not stop it.
            // Everyone who joined the group awaits it below.
            let task = Written { [weak self] in
                guard let self else { throw CancellationError() }
                if let previous { _ = await previous.result } else { try await Task.sleep(for: Self.patience) }
                return try await self.run(number, of: event.id)
            }
            line.groups.append(Group(number: number, event: event, users: [user], task: task))
            line.last = task
            line.running += 1
            return task
        }
        guard let standing = try await task.value[user] else {
            throw Problem(.unavailable, "The join was not recorded. Try again.")
        }
        return standing
    }

    private func run(_ number: Int, of event: EventID) async throws -> [UserID: QueueStanding] {
        let group = state.withLock { state -> Group? in
            guard let index = state.lines[event]?.groups.firstIndex(where: { $0.number == number }) else { return nil }
            return state.lines[event]?.groups.remove(at: index)
        }
        defer {
            state.withLock { state in
                state.lines[event]?.running -= 1
                if state.lines[event]?.running == 0 { state.lines[event] = nil }
            }
        }
        guard let group else { return [:] }
        var seen: Set<UserID> = []
        return try await write(group.users.filter { seen.insert($0).inserted }, group.event)
    }
}
