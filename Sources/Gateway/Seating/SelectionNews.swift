import Events
import HoldfastCore
import Logging
import Seating
import SocketIO
import Synchronization

/// Tells a person's other tabs and devices what one of them has chosen: `selection-changed`.
///
/// The seats' messages name, for instances only, whose choice it was and over which connection. An instance with other
/// connections of that person reads what they hold now and tells them. So the one who chose costs nothing more, and who has
/// two tabs costs one reading for as many changes as come meanwhile.
///
/// - Bounds: an entry for each person with several connections and a change that is being told.
final class SelectionNews: Sendable {
    private struct Person: Hashable {
        let user: UserID
        let event: EventID
    }

    private let seating: Seating
    private let events: Events
    private let sockets: LocalSockets
    private let logger: Logger
    /// Connections that know already, and whether something changed since the reading began.
    private let told = Mutex<[Person: News]>([:])

    private struct News {
        /// The only connection that knows; nil when several have acted.
        var knows: String?
        var hasMore: Bool
    }

    init(seating: Seating, events: Events, sockets: LocalSockets, logger: Logger) {
        self.seating = seating
        self.events = events
        self.sockets = sockets
        self.logger = logger
    }

    func changed(by actor: SeatActor, in event: EventID) {
        guard sockets.sockets(of: actor.user).contains(where: { $0.id != actor.connection }) else { return }
        let person = Person(user: actor.user, event: event)
        let isFirst = told.withLock { told in
            guard var news = told[person] else {
                told[person] = News(knows: actor.connection, hasMore: false)
                return true
            }
            if news.knows != actor.connection { news.knows = nil }
            news.hasMore = true
            told[person] = news
            return false
        }
        // Nobody awaits it; at most one for each person, and it ends by Redis' deadline.
        if isFirst { Task { await self.tell(person) } }
    }

    private func tell(_ person: Person) async {
        repeat {
            do {
                guard let event = try await events.event(person.event) else { continue }
                let selection = try await seating.selection(of: person.user, in: event)
                let knows = told.withLock { $0[person]?.knows }
                let payload = SelectionNewsPayload(eventId: event.id, selection: SelectionPayload(selection))
                for socket in sockets.sockets(of: person.user) where socket.id != knows {
                    socket.emit("selection-changed", payload)
                }
            } catch {
                // They see the seats change on the map, and are told of the choice at their next step.
                logger.debug("selection not told", metadata: ["event.id": "\(person.event)", "error": "\(error)"])
            }
        } while goesOn(person)
    }

    private func goesOn(_ person: Person) -> Bool {
        told.withLock { told in
            if told[person]?.hasMore == true {
                told[person]?.hasMore = false
                return true
            }
            told[person] = nil
            return false
        }
    }
}

/// A *selection* with the event it is of.
private struct SelectionNewsPayload: Encodable, Sendable {
    let eventId: EventID
    let selection: SelectionPayload

    private enum CodingKeys: String, CodingKey { case eventId }

    func encode(to encoder: any Encoder) throws {
        try selection.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(eventId, forKey: .eventId)
    }
}
