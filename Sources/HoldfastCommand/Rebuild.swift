import ArgumentParser
import Events
import Gateway
import HoldfastCore
import Seating
import Sessions
import WaitingRoom

struct Rebuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rebuilds an event's state in Redis from PostgreSQL.",
        discussion:
            """
            For after Redis was lost; it also happens by itself at the next access. Holds are lost, orders never. A closed \
            event needs nothing of Redis and is left alone.
            """
    )

    @Option(help: "The event's id.")
    var event: String

    func run() async throws {
        guard let id = EventID(event) else { throw ValidationError("'\(event)' is not an event id") }
        try await CommandContext.withSlices { slices in
            guard let event = try await slices.events.event(id) else { throw CommandFailure("there is no event \(id)") }
            guard try await slices.seating.rebuild(id) else {
                return print("nothing to rebuild: \(id) is closed, and its seats are read from PostgreSQL")
            }
            _ = try await slices.waitingRoom.state(of: event)
            try await slices.audit.record("operator.event.rebuilt", of: id)
            print("rebuilt \(id)")
        }
    }
}
