import ArgumentParser
import Events
import Foundation
import Gateway
import HoldfastCore
import Orders
import Seating
import Sessions
import WaitingRoom

struct EventCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event",
        abstract: "What is on sale.",
        subcommands: [Create.self, List.self, Open.self, Pause.self, Close.self, Archive.self, VerifyDraw.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes an event; prints its id.")

        @Option(help: "The event file (JSON).")
        var file: String

        func run() async throws {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw CommandFailure("cannot read the event file '\(file)'")
            }
            try await CommandContext.withSlices { slices in
                let event = try await slices.events.create(EventFile(json: data))
                try await slices.audit.record("operator.event.created", of: event.id)
                print(event.id)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the events, newest first.")

        func run() async throws {
            try await CommandContext.withSlices { slices in
                var cursor: String?
                repeat {
                    let page = try await slices.events.list(after: cursor, limit: 100)
                    for event in page.events {
                        print("\(event.id)  \(event.status.rawValue)  \(event.seatCount) seats  \(event.title)")
                    }
                    cursor = page.nextCursor
                } while cursor != nil
            }
        }
    }

    struct Open: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Opens the sale.")

        @Argument(help: "The event's id.") var id: String
        func run() async throws { try await setStatus(.open, id) }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Pauses the sale: no new holds, orders in progress go on."
        )

        @Argument(help: "The event's id.") var id: String
        func run() async throws { try await setStatus(.paused, id) }
    }

    struct Close: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Closes the sale for good.")

        @Argument(help: "The event's id.") var id: String
        func run() async throws { try await setStatus(.closed, id) }
    }

    struct Archive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Frees what Redis keeps of an event that is closed and settled.",
            discussion: "PostgreSQL keeps all of it, and shows it to whoever looks at the event again."
        )

        @Argument(help: "The event's id.") var id: String

        func run() async throws {
            guard let id = EventID(id) else { throw ValidationError("'\(id)' is not an event id") }
            try await CommandContext.withSlices { slices in
                guard let event = try await slices.events.event(id) else {
                    throw CommandFailure("there is no event \(id)")
                }
                guard event.status == .closed else {
                    throw CommandFailure("the event is \(event.status.rawValue); 'holdfast event close \(id)' first")
                }
                guard try await slices.orders.isSettled(id) else {
                    throw CommandFailure("orders of the event wait for their payment; try again when they have ended")
                }
                try await slices.seating.forget(id)
                try await slices.waitingRoom.forget(id)
                try await slices.audit.record("operator.event.archived", of: id)
                print("archived \(id)")
            }
        }
    }

    private static func setStatus(_ status: EventStatus, _ id: String) async throws {
        guard let event = EventID(id) else { throw ValidationError("'\(id)' is not an event id") }
        try await CommandContext.withSlices { slices in
            guard let event = try await slices.events.setStatus(event, status) else {
                throw CommandFailure("there is no event \(id)")
            }
            try await slices.audit.record("operator.event.status", of: event.id, facts: ["status": status.rawValue])
            print("\(event.id)  \(event.status.rawValue)")
        }
    }
}
