package import Events
package import HoldfastCore
package import Logging
package import Postgres
package import Redis

/// Who holds which seat, and what everyone may see of it.
///
/// Holds live in Redis, where one script per action decides atomically and by one clock. Seats of reservations are
/// PostgreSQL's; Redis knows them too, so that the map is one read, and gets them back from there when it is lost.
///
/// - Throws: all calls throw `RedisError`, `PostgresError`, and ``Problem`` with `rebuilding` while the state of the
///   event is restored.
package final class Seating: Sendable {
    /// More seats than this in one request are refused before any work. Nobody may hold more than 100 anyway.
    package static let maxSeatsPerRequest = 500

    /// Restores the waiting room of an event if Redis lost it; true when it was lost.
    package typealias RestorePasses = @Sendable (EventID) async throws -> Bool

    let state: SeatState
    let events: Events
    private let restorePasses: RestorePasses
    private let snapshots: SnapshotCache
    let metrics = SeatingMetrics()

    /// - Parameter passesKey: the sorted set of an event's entry passes, user → expiry in milliseconds; it shares the
    ///   event's hash tag.
    /// - Parameter restorePasses: asked before somebody is refused for want of a pass, so that a Redis that lost the
    ///   passes turns nobody away who has one.
    package convenience init(
        redis: RedisClient,
        postgres: PostgresClient,
        events: Events,
        passesKey: @escaping @Sendable (EventID) -> String,
        restorePasses: @escaping RestorePasses = { _ in false },
        logger: Logger
    ) {
        self.init(
            redis: redis,
            postgres: postgres,
            events: events,
            passesKey: passesKey,
            restorePasses: restorePasses,
            logger: logger,
            nowMs: { 0 }
        )
    }

    /// - Parameter nowMs: the scripts' time, 0 for the Redis server's clock; only tests pass another.
    package init(
        redis: RedisClient,
        postgres: PostgresClient,
        events: Events,
        passesKey: @escaping @Sendable (EventID) -> String,
        restorePasses: @escaping RestorePasses = { _ in false },
        logger: Logger,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        self.events = events
        self.restorePasses = restorePasses
        state = SeatState(redis: redis, postgres: postgres, passesKey: passesKey, logger: logger, nowMs: nowMs)
        snapshots = SnapshotCache()
    }

    /// The Pub/Sub channel of an event's ``SeatMessage``s.
    package static func channel(_ event: EventID) -> String { SeatingKeys(event: event).channel }

    // MARK: Holds

    /// "These are the seats I want": takes what is new and gives back what is gone, all or nothing.
    package func select(_ seats: [SeatID], by user: UserID, in event: Event) async throws -> SelectionOutcome {
        try await choose(seats, mode: "exact", by: user, in: event)
    }

    /// Adds seats to what a person holds, all or none of them.
    package func lock(_ seats: [SeatID], by user: UserID, in event: Event) async throws -> SelectionOutcome {
        try await choose(seats, mode: "add", by: user, in: event)
    }

    private func choose(
        _ seats: [SeatID],
        mode: RedisArgument,
        by user: UserID,
        in event: Event
    ) async throws -> SelectionOutcome {
        let seats = try Self.distinct(seats)
        let layout = try await events.layout(of: event)
        let unknown = seats.filter { layout.ordinal(of: $0) == nil }
        guard unknown.isEmpty else { return .unknownSeats(unknown) }
        let arguments = rules(user, event) + [mode] + seats.map { RedisArgument($0.rawValue) }
        return try outcome(of: try await grant(SeatScript.select, event.id, arguments), in: event)
    }

    /// Gives back some of a person's seats, or all with nil. Seats they do not hold are passed over. Always allowed.
    @discardableResult
    package func release(_ seats: [SeatID]?, by user: UserID, in event: Event) async throws -> Selection {
        // The script takes no seats for all of them.
        if let seats, seats.isEmpty { return try await selection(of: user, in: event) }
        let seats = try Self.distinct(seats ?? [])
        let arguments = [RedisArgument(user.rawValue)] + seats.map { RedisArgument($0.rawValue) }
        return try await state.run(SeatScript.release, event.id, arguments).selection()
    }

    /// Once more the event's hold time, at most ``Selection/maxExtensions`` times per hold.
    package func extend(by user: UserID, in event: Event) async throws -> ExtendOutcome {
        let reply = try await state.run(
            SeatScript.extend,
            event.id,
            [
                RedisArgument(user.rawValue), RedisArgument(event.sale.holdSeconds * 1_000),
                RedisArgument(Selection.maxExtensions),
            ]
        )
        let selection = try reply.selection()
        return switch reply.status {
        case .ok: .extended(selection)
        case .limit: .limitReached(selection)
        default: .nothingHeld(selection)
        }
    }

    package func selection(of user: UserID, in event: Event) async throws -> Selection {
        try await state.run(SeatScript.showHold, event.id, [RedisArgument(user.rawValue)]).selection()
    }

    /// Adds the best free seats that are adjacent in one row, else the nearest to each other.
    ///
    /// - Parameter maxPrice: of each seat.
    package func bestAvailable(
        quantity: Int,
        section: String?,
        maxPrice: Int64?,
        by user: UserID,
        in event: Event
    ) async throws -> SelectionOutcome {
        guard quantity > 0 else { throw Problem.invalid(.init("quantity", "must be 1 or more")) }
        guard quantity <= event.sale.maxSeatsPerUser else {
            let selection = try await selection(of: user, in: event)
            return .limitExceeded(maxSeats: event.sale.maxSeatsPerUser, selection)
        }
        let layout = try await events.layout(of: event)
        // The map may be 100 ms old and the wanted seats gone: look again, a few times.
        for _ in 0..<3 {
            let map = try await snapshot(of: event)
            let groups = BestSeats(layout: layout, statuses: map.statuses)
                .groups(of: quantity, section: section, maxPrice: maxPrice)
            guard !groups.isEmpty else { return .noneLeft(try await selection(of: user, in: event)) }
            let arguments =
                rules(user, event) + [RedisArgument(quantity)]
                + groups.joined().map { RedisArgument($0.rawValue) }
            let reply = try await grant(SeatScript.takeBest, event.id, arguments)
            if reply.status != .unavailable { return try outcome(of: reply, in: event) }
            snapshots.forget(event.id)
        }
        return .noneLeft(try await selection(of: user, in: event))
    }

    // MARK: What everyone sees

    /// The whole map. At most 100 ms old: ten thousand people who open it at once cost this instance one read.
    package func snapshot(of event: Event) async throws -> SeatSnapshot {
        let layout = try await events.layout(of: event)
        return try await snapshots.snapshot(of: event.id, layoutVersion: layout.version) { [state] in
            let reply = try await state.run(SeatScript.showSeats, event.id)
            var statuses = [UInt8](repeating: SeatSnapshot.available, count: layout.seats.count)
            for seat in try reply.seats(3) {
                if let ordinal = layout.ordinal(of: seat) { statuses[ordinal] = SeatSnapshot.locked }
            }
            for seat in try reply.seats(4) {
                if let ordinal = layout.ordinal(of: seat) { statuses[ordinal] = SeatSnapshot.reserved }
            }
            return SeatSnapshot(seq: try reply.integer(2), layoutVersion: layout.version, statuses: statuses)
        }
    }

    /// The messages after `seq`, for a client that missed some.
    package func changes(in event: Event, since seq: Int64) async throws -> ChangesOutcome {
        guard seq >= 0, seq < Int64(1) << 53 else { return .reset }
        let reply = try await state.run(SeatScript.showChanges, event.id, [RedisArgument(seq)])
        guard reply.status == .ok else { return .reset }
        let changes = try reply.array(3).map { value in
            guard let change = value.buffer.flatMap({ SeatChange(logged: $0) }) else {
                throw reply.unexpected("seat messages", at: 3)
            }
            return change
        }
        return .changes(seq: try reply.integer(2), changes)
    }

    /// Free seats by section; every section is present.
    package func availability(of event: Event) async throws -> [String: Int] {
        let layout = try await events.layout(of: event)
        let map = try await snapshot(of: event)
        var free: [String: Int] = [:]
        for section in layout.sections { free[section.name] = 0 }
        for (seat, status) in zip(layout.seats, map.statuses) where status == SeatSnapshot.available {
            free[seat.section, default: 0] += 1
        }
        return free
    }

    // MARK: For operators

    /// Begins a new life of the event's state in Redis from what PostgreSQL knows. Holds end.
    package func rebuild(_ event: EventID) async throws {
        _ = try await state.rebuild(event, force: true)
        snapshots.forget(event)
    }

    /// Forgets an event that was deleted.
    package func forget(_ event: EventID) async throws {
        try await state.forget(event)
        snapshots.forget(event)
    }

    // MARK: Requests and answers

    /// What a grant depends on, as the scripts' `rules_from` reads it, with the user before.
    private func rules(_ user: UserID, _ event: Event) -> [RedisArgument] {
        [
            RedisArgument(user.rawValue),
            RedisArgument(event.sale.holdSeconds * 1_000),
            RedisArgument(event.sale.maxSeatsPerUser),
            event.status == .open ? "1" : "0",
            event.queue.enabled ? "1" : "0",
        ]
    }

    /// Runs a script that needs a pass.
    private func grant(
        _ script: RedisScript,
        _ event: EventID,
        _ arguments: [RedisArgument]
    ) async throws -> SeatReply {
        let reply = try await state.run(script, event, arguments)
        guard reply.status == .notAdmitted, try await restorePasses(event) else { return reply }
        return try await state.run(script, event, arguments)
    }

    private func outcome(of reply: SeatReply, in event: Event) throws -> SelectionOutcome {
        metrics.asked(reply.status)
        let selection = try reply.selection()
        return switch reply.status {
        case .ok: .selected(selection)
        case .unavailable: .unavailable(try reply.seats(7), selection)
        case .notAdmitted: .notAdmitted(selection)
        case .notOpen: .notOpen(selection)
        case .limit: .limitExceeded(maxSeats: event.sale.maxSeatsPerUser, selection)
        default: throw reply.unexpected("a status of this action", at: 0)
        }
    }

    /// The seats without repetition, in the order given.
    static func distinct(_ seats: [SeatID]) throws(Problem) -> [SeatID] {
        guard seats.count <= maxSeatsPerRequest else {
            throw Problem.invalid(.init("seatIds", "must be \(maxSeatsPerRequest) seats or fewer"))
        }
        var seen: Set<SeatID> = []
        return seats.filter { seen.insert($0).inserted }
    }
}
