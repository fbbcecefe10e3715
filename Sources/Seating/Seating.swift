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
    let snapshots: SnapshotCache
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
    ///
    /// - Parameter standing: how many places of which standing area, in all; its places among `seats` do not count then.
    package func select(
        _ seats: [SeatID],
        standing: [String: Int] = [:],
        by user: UserID,
        in event: Event,
        options: SelectionOptions = SelectionOptions()
    ) async throws -> SelectionOutcome {
        try await choose(seats, standing, isExact: true, by: user, in: event, options)
    }

    /// Adds seats to what a person holds, all or none of them.
    ///
    /// - Parameter standing: how many more places of which standing area.
    package func lock(
        _ seats: [SeatID],
        standing: [String: Int] = [:],
        by user: UserID,
        in event: Event,
        options: SelectionOptions = SelectionOptions()
    ) async throws -> SelectionOutcome {
        try await choose(seats, standing, isExact: false, by: user, in: event, options)
    }

    private func choose(
        _ seats: [SeatID],
        _ standing: [String: Int],
        isExact: Bool,
        by user: UserID,
        in event: Event,
        _ options: SelectionOptions
    ) async throws -> SelectionOutcome {
        let seats = try Self.distinct(seats)
        try Self.check(standing)
        let layout = try await events.layout(of: event)
        let named = PlacesNamed(seats, standing, in: layout)
        guard named.unknownSeats.isEmpty else { return .unknownSeats(named.unknownSeats) }
        guard named.unknownAreas.isEmpty else { return .unknownAreas(named.unknownAreas) }
        var groups: [[Int]] = []
        if options.alternatives, !named.seats.isEmpty, named.seats.count <= event.sale.maxSeatsPerUser {
            let search = BestSeats(
                layout: layout,
                quantity: named.seats.count,
                accessible: named.seats.contains { layout.accessible.contains($0) }
            )
            let statuses = try await map(of: event).snapshot.statuses
            // It looks at every seat, and the caller may be on an event loop.
            groups = await withTaskExecutorPreference(globalConcurrentExecutor) {
                search.alternatives(to: named.seats, in: statuses)
            }
        }
        var arguments = rules(user, event, options, isExact ? "select" : "lock")
        arguments.append(isExact ? "exact" : "add")
        arguments.append(event.sale.noOrphanSeats ? layout.geometry(of: named.seats + groups.joined()) : "")
        arguments.append(RedisArgument(named.seats.count + named.standing.count))
        arguments.append(RedisArgument(groups.isEmpty ? 0 : named.seats.count))
        arguments.append(RedisArgument(named.areas.count))
        arguments += (named.seats + named.standing).map { layout.place(at: $0) }
        for (area, quantity) in named.areas {
            arguments += [
                RedisArgument(area.ordinals.lowerBound), RedisArgument(area.ordinals.count), RedisArgument(area.name),
                RedisArgument(quantity),
            ]
        }
        arguments += groups.joined().map { layout.place(at: $0) }
        return try outcome(of: try await grant(SeatScript.select, event.id, arguments, options.connection), in: event)
    }

    /// Gives back some of a person's seats, or all with nil. Seats they do not hold are passed over. Always allowed.
    @discardableResult
    package func release(
        _ seats: [SeatID]?,
        by user: UserID,
        in event: Event,
        options: SelectionOptions = SelectionOptions()
    ) async throws -> Selection {
        var arguments = [RedisArgument(user.rawValue)]
        if let seats {
            let layout = try await events.layout(of: event)
            arguments += try Self.distinct(seats).compactMap { layout.place($0) }
            // The script takes no seats for all of them.
            if arguments.count == 1 { return try await selection(of: user, in: event) }
        }
        return try await state.run(SeatScript.release, event.id, arguments, actor: options.connection).selection()
    }

    /// Once more the event's hold time, at most ``Selection/maxExtensions`` times per hold.
    package func extend(
        by user: UserID,
        in event: Event,
        options: SelectionOptions = SelectionOptions()
    ) async throws -> ExtendOutcome {
        let reply = try await state.run(
            SeatScript.extend,
            event.id,
            [
                RedisArgument(user.rawValue), RedisArgument(event.sale.holdSeconds * 1_000),
                RedisArgument(Selection.maxExtensions), request(options, "extend"),
            ],
            actor: options.connection
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

    // MARK: For operators

    /// Begins a new life of the event's state in Redis from what PostgreSQL knows. Holds end.
    ///
    /// - Parameter known: the life that has to end; nothing is done if a later one has begun, and is whole. nil for the
    ///   one of this moment.
    /// - Returns: false when the event is closed, and needs none.
    @discardableResult
    package func rebuild(_ event: EventID, after known: Int64? = nil) async throws -> Bool {
        let last = if let known { known } else { try await SeatEpochs.current(of: event, in: state.postgres) }
        let epoch = try await state.rebuild(event, after: last)
        snapshots.forget(nil, of: event)
        return epoch != nil
    }

    /// Takes an event that is closed, or deleted, out of Redis, which nothing brings back: its map is PostgreSQL's then.
    /// What Redis still has to tell of its holds is written down before.
    package func forget(_ event: EventID) async throws {
        while try await SeatHistory(redis: state.redis, postgres: state.postgres).move([event]) {}
        try await state.forget(event)
        snapshots.forget(nil, of: event)
    }

    // MARK: Requests and answers

    /// What a grant depends on, as the scripts' `rules_from` reads it, with the user before.
    func rules(_ user: UserID, _ event: Event, _ options: SelectionOptions, _ action: String) -> [RedisArgument] {
        [
            RedisArgument(user.rawValue),
            RedisArgument(event.sale.holdSeconds * 1_000),
            RedisArgument(event.sale.maxSeatsPerUser),
            event.status == .open ? "1" : "0",
            event.queue.enabled ? "1" : "0",
            request(options, action),
        ]
    }

    /// A client may number its requests of each kind apart.
    private func request(_ options: SelectionOptions, _ action: String) -> RedisArgument {
        RedisArgument(options.request.map { "\(action):\($0)" } ?? "")
    }

    /// Runs a script that needs a pass.
    func grant(
        _ script: RedisScript,
        _ event: EventID,
        _ arguments: [RedisArgument],
        _ actor: String
    ) async throws -> SeatReply {
        let reply = try await state.run(script, event, arguments, actor: actor)
        guard reply.status == .notAdmitted, try await restorePasses(event) else { return reply }
        return try await state.run(script, event, arguments, actor: actor)
    }

    func outcome(of reply: SeatReply, in event: Event) throws -> SelectionOutcome {
        metrics.asked(reply.status)
        let selection = try reply.selection()
        switch reply.status {
        case .ok: return .selected(selection)
        case .unavailable: return .unavailable(try reply.seats(7), selection)
        case .orphan: return .orphans(try reply.seats(7, asPlaces: false).sorted(), selection)
        case .short:
            let fields = try reply.array(7).compactMap(\.string)
            guard fields.count == 2, let left = Int(fields[1]) else { throw reply.unexpected("an area", at: 7) }
            return .tooFewPlaces(area: fields[0], left: left, selection)
        case .notAdmitted: return .notAdmitted(selection)
        case .notOpen, .over: return .notOpen(selection)
        case .limit: return .limitExceeded(maxSeats: event.sale.maxSeatsPerUser, selection)
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

    private static func check(_ standing: [String: Int]) throws(Problem) {
        guard standing.count <= EventFile.maxSections,
            standing.values.allSatisfy({ (0...maxSeatsPerRequest).contains($0) })
        else {
            throw Problem.invalid(.init("generalAdmission", "must be 0 to \(maxSeatsPerRequest) places of each area"))
        }
    }
}
