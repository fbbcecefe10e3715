package import Events
package import HoldfastCore
package import Logging
package import Postgres
package import Redis

/// The waiting room: who may choose seats now, and in which order the others follow.
///
/// PostgreSQL decides the order, before a join is answered. Redis serves it: places, presence, passes and admission are
/// there, and a Redis that lost them is loaded again in the same order by whoever notices first.
package final class WaitingRoom: Sendable {
    let scripts: QueueScripts
    let store: QueueStore
    let redis: RedisClient
    let events: Events
    let logger: Logger
    /// A rush of joins costs one transaction for hundreds of people; an event has one at the database at a time.
    private let joins = Gathering<EventID, UserID, QueueStanding>(
        patience: .milliseconds(5),
        crowded: "Too many people are joining at this moment. Try again in a moment."
    )
    /// Those who look at one moment are looked for together.
    private let looks = Gathering<EventID, UserID, Found>()

    private struct Found: Sendable {
        let place: QueuePlace
        let summary: QueueSummary
    }

    /// How often a call goes back to the beginning when the queue is being rebuilt under it.
    private static let attempts = 4

    package convenience init(redis: RedisClient, postgres: PostgresClient, events: Events, logger: Logger) {
        self.init(redis: redis, postgres: postgres, events: events, logger: logger, clock: { 0 })
    }

    /// - Parameter clock: a test's time in milliseconds, 0 for Redis' own.
    init(
        redis: RedisClient,
        postgres: PostgresClient,
        events: Events,
        logger: Logger,
        clock: @escaping @Sendable () -> Int64
    ) {
        scripts = QueueScripts(redis: redis, clock: clock)
        store = QueueStore(postgres: postgres)
        self.redis = redis
        self.events = events
        self.logger = logger
        rebuild = QueueRebuild(scripts: scripts, store: store, redis: redis)
        draws = LobbyDraws(store: store)
    }

    let rebuild: QueueRebuild
    /// The lobbies' draws, for those who check them.
    package let draws: LobbyDraws

    /// The sorted set of an event's passes, for scripts of others on the same hash tag.
    package static func passesKey(_ event: EventID) -> String { WaitingRoomKeys.passes(event) }

    // MARK: People

    /// Takes a place, or finds the one the person has: asking again never costs it.
    ///
    /// - Throws: ``Problem`` with ``ProblemCode/rebuilding`` or ``ProblemCode/unavailable``; the stores' errors. A place
    ///   may have been taken nonetheless; joining again finds it.
    package func join(_ user: UserID, _ event: Event) async throws -> QueueStanding {
        if event.status == .closed { return .closed }
        guard event.queue.enabled else { return .disabled }
        let standing = try await joins.value(user, in: event.id) { try await self.join($0, event) }
        guard let standing else { throw Problem(.unavailable, "The join was not recorded. Try again.") }
        return standing
    }

    /// Where a person stands. Asking is a sign of presence.
    package func standing(of user: UserID, in event: Event) async throws -> QueueStanding {
        if event.status == .closed { return .closed }
        guard event.queue.enabled else { return .disabled }
        let found = try await looks.value(user, in: event.id) { users in
            guard let found = try await self.standings(of: users, in: event.id) else { return [:] }
            return Dictionary(
                zip(users, found.places).map { ($0, Found(place: $1, summary: found.summary)) },
                uniquingKeysWith: { first, _ in first }
            )
        }
        guard let found else { return .none }
        return found.place.standing(in: event, found.summary)
    }

    /// Gives up the place, or the pass; the slot is free at the next tick. Leaving twice is leaving once.
    package func leave(_ user: UserID, _ event: Event) async throws {
        let (ended, over) = try await store.leave(user, in: event.id)
        guard ended > 0 || over > 0 || event.queue.mode == .lobby else { return }
        for _ in 0..<Self.attempts {
            switch try await scripts.leave(user, over: over, ended: ended, in: event.id) {
            case .value: return
            case .rebuild: guard try await rebuild.run(event.id, needing: 0) else { return }
            }
        }
        throw Problem(.rebuilding, "The waiting room is being restored. Try again in a moment.")
    }

    /// Says that these people are there: one call for all of an instance and event, every two seconds.
    package func keepPresent(_ users: [UserID], in event: EventID) async throws {
        _ = try await standings(of: users, in: event)
    }

    /// Restores the queue and its passes if this Redis has lost them.
    ///
    /// - Returns: whether it had; false also if nobody ever queued for the event.
    package func restoreIfLost(_ event: EventID) async throws -> Bool {
        guard case .rebuild = try await scripts.stand([], in: event) else { return false }
        return try await rebuild.run(event, needing: 0)
    }

    /// Begins a new life of the queue in Redis, in the same order, whatever Redis has; nothing if nobody ever queued.
    package func rebuild(_ event: EventID) async throws {
        guard let epoch = try await store.epoch(of: event) else { return }
        _ = try await rebuild.run(event, needing: epoch + 1)
    }

    /// Takes the queue of an event that is closed, or deleted, out of Redis, which nothing brings back.
    package func forget(_ event: EventID) async throws { try await rebuild.end(event) }

    // MARK: Administration

    /// Empties the line; passes stay good until they end.
    ///
    /// - Returns: how many people lost their place.
    package func clear(_ event: EventID) async throws -> Int {
        let cleared = try await rebuild.clear(event)
        let channel = WaitingRoomKeys.channel(event)
        _ = try await redis.send(.publish(RedisArgument(QueueMessage.clearedText), to: channel))
        return cleared
    }

    package func state(of event: Event) async throws -> QueueState {
        let summary = event.queue.enabled ? try await standings(of: [], in: event.id)?.summary : nil
        return QueueState(
            waiting: summary?.waiting ?? 0,
            lobby: summary?.lobby ?? 0,
            active: summary?.active ?? 0,
            admittedTotal: summary?.admittedTotal ?? 0,
            maxActive: event.queue.maxActive,
            ratePerMinute: event.queue.ratePerMinute,
            passSeconds: event.queue.passSeconds,
            mode: event.queue.mode,
            paused: event.queue.paused,
            enabled: event.queue.enabled
        )
    }

    /// Changes the rules of a running queue. Once this has returned nobody is let in by the rules before.
    ///
    /// - Returns: nil if there is no such event.
    package func update(_ event: EventID, _ change: QueueChange) async throws -> QueueState? {
        guard let event = try await events.updateQueue(event, change) else { return nil }
        try await announceRules(of: event, unpaused: change.paused == false)
        return try await state(of: event)
    }

    /// Tells the leader that an event's rules are others now. Once this has returned nobody is let in by those before.
    ///
    /// - Parameter unpaused: the rate's bucket begins to fill now, and not when the pause began.
    package func announceRules(of event: Event, unpaused: Bool) async throws {
        // No leader serves a closed event, which may have been taken out of Redis.
        guard event.status != .closed else { return }
        try await scripts.announce(rules: event.queueVersion, unpaused: unpaused, in: event.id)
    }

    // MARK: Together

    /// Where all of `users` stand, in calls of at most 500 people so that none holds Redis up for long.
    ///
    /// - Returns: nil if nobody ever queued for the event.
    func standings(of users: [UserID], in event: EventID) async throws -> QueueScripts.Standings? {
        var all: QueueScripts.Standings?
        var start = 0
        repeat {
            let chunk = Array(users[start..<min(start + 500, users.count)])
            guard let found = try await standings(ofChunk: chunk, in: event) else { return nil }
            all = QueueScripts.Standings(summary: found.summary, places: (all?.places ?? []) + found.places)
            start += 500
        } while start < users.count
        return all
    }

    /// - Bounds: at most 500 users.
    private func standings(ofChunk users: [UserID], in event: EventID) async throws -> QueueScripts.Standings? {
        for _ in 0..<Self.attempts {
            switch try await scripts.stand(users, in: event) {
            case .value(let standings): return standings
            case .rebuild: guard try await rebuild.run(event, needing: 0) else { return nil }
            }
        }
        throw Problem(.rebuilding, "The waiting room is being restored. Try again in a moment.")
    }

    private func join(_ users: [UserID], _ event: Event) async throws -> [UserID: QueueStanding] {
        for _ in 0..<Self.attempts {
            let places = try await store.join(users, in: event.id)
            // Closed since this instance last looked.
            if places.isClosed { return Dictionary(uniqueKeysWithValues: users.map { ($0, .closed) }) }
            if places.needsDraw {
                _ = try await rebuild.run(event.id, needing: places.epoch + 1)
                continue
            }
            let pairs = users.compactMap { user in places.qseqs[user].map { (user: user, qseq: $0) } }
            guard case .value(let found) = try await scripts.join(pairs, epoch: places.epoch, in: event.id) else {
                _ = try await rebuild.run(event.id, needing: max(places.epoch, 1))
                continue
            }
            // Their passes ended or they left, and PostgreSQL was not told yet: they begin anew at the end of the line.
            let stale = zip(pairs, found.places).compactMap { pair, place in place == .stale ? pair.qseq : nil }
            if !stale.isEmpty {
                try await store.end(stale, in: event.id)
                continue
            }
            var standings: [UserID: QueueStanding] = [:]
            for user in users { standings[user] = QueueStanding.none }
            for (pair, place) in zip(pairs, found.places) {
                standings[pair.user] = place.standing(in: event, found.summary)
            }
            return standings
        }
        throw Problem(.rebuilding, "The waiting room is being restored. Try again in a moment.")
    }
}
