package import HoldfastCore
package import Postgres

/// What an administrator changes about a running waiting room; nil leaves as it is.
package struct QueueChange: Sendable, Equatable, Codable {
    package var maxActive: Int?
    package var ratePerMinute: Int?
    package var passSeconds: Int?
    package var paused: Bool?

    package init(maxActive: Int? = nil, ratePerMinute: Int? = nil, passSeconds: Int? = nil, paused: Bool? = nil) {
        self.maxActive = maxActive
        self.ratePerMinute = ratePerMinute
        self.passSeconds = passSeconds
        self.paused = paused
    }
}

/// What is on sale. PostgreSQL decides; copies in memory are at most a second old.
package final class Events: Sendable {
    private let store: EventStore
    private let cache = EventCache()
    /// Those who find no copy of an event at one moment wait for one reading, not each for their own.
    private let readings = Gathering<EventID, EventID, Event>()
    private let layouts = LayoutCache()

    private static let pageLimit = 100

    package init(postgres: PostgresClient) {
        store = EventStore(postgres: postgres)
    }

    /// Puts an event on sale, `scheduled`, with all its seats or not at all.
    ///
    /// - Throws: ``Problem`` with ``ProblemCode/invalid`` when the file breaks a rule; the database's errors.
    package func create(_ file: EventFile) async throws -> Event {
        try file.validate()
        return try await store.insert(file, id: EventID())
    }

    /// The event as it was at most a second ago; nil if there is none.
    package func event(_ id: EventID) async throws -> Event? {
        let now = ContinuousClock.now
        switch cache.look(id, now: now) {
        case .known(let event):
            return event
        case .stale(let event):
            // Nobody awaits it: who asks is served from the cache. One at a time, and it ends by PostgreSQL's deadline.
            Task { await renewCopies() }
            return event
        case .read:
            let event = try await readings.value(id, in: id) { _ in
                try await self.store.event(id).map { [id: $0] } ?? [:]
            }
            cache.store(event, for: id, now: now)
            return event
        }
    }

    /// Time for other copies to grow stale as well; with it the oldest copy served is far younger than a second.
    private static let renewalDelay = Duration.milliseconds(100)

    /// Asks which of the stale copies are still the newest version, and reads those that are not.
    private func renewCopies() async {
        try? await Task.sleep(for: Self.renewalDelay)
        let stale = cache.takeStale()
        let now = ContinuousClock.now
        // If PostgreSQL is away the copies are served until they are too old; whoever asks then is told.
        guard let versions = try? await store.versions(of: Array(stale.keys)) else { return }
        for (id, known) in stale {
            if versions[id] == known {
                cache.renew(known, for: id, now: now)
            } else if let event = try? await store.event(id) {
                cache.store(event, for: id, now: now)
            } else {
                cache.forget(id)
            }
        }
    }

    /// A page of events, newest first.
    ///
    /// - Parameters:
    ///   - cursor: `nextCursor` of the page before.
    ///   - limit: at most 100 are given, at least 1.
    /// - Throws: ``Problem`` with ``ProblemCode/invalid`` for a cursor that is none.
    package func list(after cursor: String?, limit: Int) async throws -> (events: [Event], nextCursor: String?) {
        let limit = min(max(limit, 1), Self.pageLimit)
        var before = Int64.max
        if let cursor {
            guard cursor.utf8.count <= 20, let listing = Int64(cursor), listing > 0 else {
                throw Problem.invalid(.init("cursor", "is not one that a page gave"))
            }
            before = listing
        }
        // One more than asked for tells whether another page follows.
        let found = try await store.page(before: before, limit: limit + 1)
        let page = found.prefix(limit)
        return (page.map(\.event), found.count > limit ? page.last.map { String($0.listing) } : nil)
    }

    /// The places of the event's version.
    package func layout(of event: Event) async throws -> Layout {
        let key = LayoutCache.Key(event: event.id, version: event.layoutVersion)
        return try await layouts.layout(key) { [store] in
            Layout(
                version: event.layoutVersion,
                seats: try await store.seats(of: event.id),
                sections: event.sections,
                standing: event.generalAdmission
            )
        }
    }

    /// Opens, pauses or closes. Repeating is no change; `closed` is final.
    ///
    /// - Returns: nil if there is no such event.
    /// - Throws: ``Problem`` with ``ProblemCode/eventNotOpen`` if the event's status allows no such change.
    package func setStatus(_ id: EventID, _ status: EventStatus) async throws -> Event? {
        if let event = try await store.setStatus(id, status) {
            cache.forget(id)
            return event
        }
        guard let event = try await store.event(id) else { return nil }
        throw Problem(
            .eventNotOpen,
            "An event that is \(event.status.rawValue) cannot become \(status.rawValue)."
        )
    }

    /// Opens the scheduled events whose time has come by PostgreSQL's clock; each is returned to one caller only.
    package func openDue() async throws -> [Event] {
        let opened = try await store.openDue()
        for event in opened { cache.forget(event.id) }
        return opened
    }

    /// Changes the rules of a running waiting room; leaders and instances follow within a second.
    ///
    /// - Returns: nil if there is no such event.
    /// - Throws: ``Problem`` with ``ProblemCode/invalid`` for a value out of bounds.
    package func updateQueue(_ id: EventID, _ change: QueueChange) async throws -> Event? {
        var rules = QueueRules()
        if let maxActive = change.maxActive { rules.maxActive = maxActive }
        if let ratePerMinute = change.ratePerMinute { rules.ratePerMinute = ratePerMinute }
        if let passSeconds = change.passSeconds { rules.passSeconds = passSeconds }
        // Named as in the change, not as in an event file.
        let errors = EventFile.errors(in: rules).map { error in
            Problem.FieldError(String(error.field.dropFirst("queue.".count)), error.detail)
        }
        if let first = errors.first { throw Problem(.invalid, "\(first.field) \(first.detail).", errors: errors) }
        let event = try await store.updateQueue(id, change)
        cache.forget(id)
        return event
    }

    /// Takes seats off sale, or puts them back. Those with a reservation are passed over, and so are standing places.
    ///
    /// - Returns: the seats that are now as asked.
    package func setBlocked(_ isBlocked: Bool, _ seats: [SeatID], of id: EventID) async throws -> [SeatID] {
        try await store.setBlocked(isBlocked, seats, of: id)
    }

    /// Changes an event that exists; every instance follows within a second.
    ///
    /// - Throws: ``Problem`` with ``ProblemCode/invalid`` for a value out of bounds, and for what may change only before
    ///   the sale opens.
    package func update(
        _ id: EventID,
        _ change: EventChange,
        onlyIf version: Int64? = nil
    ) async throws -> EventChangeOutcome {
        let outcome = try await store.update(id, change, onlyIf: version)
        cache.forget(id)
        return outcome
    }

    /// Removes an event from which nobody ever ordered. One with orders stays for ever: they are the books.
    package func delete(_ id: EventID) async throws -> EventDeletion {
        let outcome = try await store.delete(id)
        cache.forget(id)
        return outcome
    }

    /// Drops this instance's copy, as when another instance announced a change.
    package func forget(_ id: EventID) {
        cache.forget(id)
    }
}
