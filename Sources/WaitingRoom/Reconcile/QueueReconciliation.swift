package import HoldfastCore
import Logging
import Postgres
import Redis

/// Compares the line and the passes that Redis knows with PostgreSQL's, which decides, and restores the queue from there.
///
/// Every place and every pass is in PostgreSQL first, so there should never be a difference that lasts. One that is there
/// twice, with a pause between, begins a new life of the queue: the order and the passes are kept, and nobody is let in
/// for three seconds, as after any loss of Redis. The lobby is not compared: its draw reads PostgreSQL.
///
/// - Bounds: ``page`` people in one script and one statement, with a pause after each that leaves the stores to others.
struct QueueReconciliation: Sendable {
    static let page = 500
    /// People who are looked at twice. One that lasts is enough to restore the queue.
    static let most = 1_000
    /// A pass that ends so soon may be gone from Redis already, whose clock decides.
    static let slack: Duration = .seconds(5)

    let scripts: QueueScripts
    let store: QueueStore
    let redis: RedisClient
    let event: EventID
    let epoch: Int64
    /// Between pages.
    let breath: Duration
    /// Between the two looks.
    let patience: Duration

    /// - Returns: people about whom the two stores differ for longer than a moment.
    func run() async throws -> [UserID] {
        var suspects: [UserID] = []
        var last: Int64 = 0
        while suspects.count < Self.most {
            let entries = try await store.live(after: last, atMost: Self.page, in: event)
            guard let known = try await scripts.inspect(entries.map(\.user), epoch: epoch, in: event) else { return [] }
            for (entry, place) in zip(entries, known.places) where !place.agrees(with: entry, at: known.now) {
                suspects.append(entry.user)
            }
            guard entries.count == Self.page, let end = entries.last?.qseq else { break }
            last = end
            try await Task.sleep(for: breath)
        }
        for key in WaitingRoomKeys.line(event) + [WaitingRoomKeys.passes(event)] {
            suspects += try await strangers(in: key)
        }
        guard !suspects.isEmpty else { return [] }
        try await Task.sleep(for: patience)
        return try await stillDiffering(Array(Set(suspects).prefix(Self.most)))
    }

    /// Who is in one of Redis' sets and has no place in PostgreSQL.
    private func strangers(in key: String) async throws -> [UserID] {
        var strangers: [UserID] = []
        var start = 0
        while strangers.count < Self.most {
            let reply = try await redis.send(
                RedisCommand("ZRANGE", RedisArgument(key), RedisArgument(start), RedisArgument(start + Self.page - 1))
            )
            let users = (reply.array ?? []).compactMap { $0.string.flatMap(UserID.init) }
            let known = Set(try await store.live(users, in: event).map(\.user))
            strangers += users.filter { !known.contains($0) }
            guard users.count == Self.page else { break }
            start += Self.page
            try await Task.sleep(for: breath)
        }
        return strangers
    }

    private func stillDiffering(_ users: [UserID]) async throws -> [UserID] {
        var differing: [UserID] = []
        for start in stride(from: 0, to: users.count, by: Self.page) {
            let some = Array(users[start..<min(start + Self.page, users.count)])
            let entries = Dictionary(try await store.live(some, in: event).map { ($0.user, $0) }) { first, _ in first }
            guard let known = try await scripts.inspect(some, epoch: epoch, in: event) else { return [] }
            for (user, place) in zip(some, known.places) where !place.agrees(with: entries[user], at: known.now) {
                differing.append(user)
            }
        }
        return differing
    }
}

/// Where Redis has a person: their place in line and that of their pass, 0 for none.
struct InspectedPlace: Sendable, Equatable {
    let inLine: Int64
    let ofPass: Int64

    /// - Parameter entry: the person's place in PostgreSQL, nil without one.
    func agrees(with entry: QueueStore.LiveEntry?, at now: ServerTime) -> Bool {
        guard let entry else { return inLine == 0 && ofPass == 0 }
        if inLine == entry.qseq || ofPass == entry.qseq { return true }
        guard let expiresAt = entry.expiresAt else { return false }
        return expiresAt < now + QueueReconciliation.slack
    }
}

extension QueueStore {
    /// Somebody who waits, or has a pass.
    struct LiveEntry: Sendable, Equatable {
        let user: UserID
        let qseq: Int64
        /// With a pass.
        let expiresAt: ServerTime?
    }

    /// Those with a place after one, in order.
    func live(after qseq: Int64, atMost limit: Int, in event: EventID) async throws -> [LiveEntry] {
        try await live(
            """
            SELECT user_id, qseq, CASE WHEN state = 'admitted' THEN expires_at_ms END FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND qseq > \(qseq)::bigint AND state IN ('waiting', 'admitted')
            ORDER BY qseq LIMIT \(limit)::bigint
            """
        )
    }

    func live(_ users: [UserID], in event: EventID) async throws -> [LiveEntry] {
        guard !users.isEmpty else { return [] }
        return try await live(
            """
            SELECT user_id, qseq, CASE WHEN state = 'admitted' THEN expires_at_ms END FROM queue_entries
            WHERE event_id = \(event.rawValue)::uuid AND user_id = ANY(\(users.map(\.rawValue))::text[])
                AND state IN ('waiting', 'admitted') AND qseq IS NOT NULL
            """
        )
    }

    private func live(_ query: PostgresQuery) async throws -> [LiveEntry] {
        try await postgres.query(query).compactMap { row in
            let (user, qseq, expiresMs) = try row.decode((String, Int64, Int64?).self)
            return UserID(user).map {
                LiveEntry(
                    user: $0,
                    qseq: qseq,
                    expiresAt: expiresMs.map { ServerTime(millisecondsSinceEpoch: $0) }
                )
            }
        }
    }
}

extension QueueScripts {
    /// - Returns: nil when this Redis knows another life of the queue, or none.
    func inspect(
        _ users: [UserID],
        epoch: Int64,
        in event: EventID
    ) async throws(RedisError) -> (now: ServerTime, places: [InspectedPlace])? {
        let reply = try await redis.eval(
            Self.inspect,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(epoch), RedisArgument(clock())] + users.map { RedisArgument($0.rawValue) }
        )
        if let failure = reply.failure { throw failure }
        guard let words = reply.array, words.first?.string == "ok" else { return nil }
        let numbers = words.dropFirst().compactMap(\.int).map(Int64.init)
        guard numbers.count == 1 + 2 * users.count else {
            throw RedisError(.unexpectedReply, "QueueInspect: not two numbers for each user")
        }
        let places = stride(from: 1, to: numbers.count, by: 2).map {
            InspectedPlace(inLine: numbers[$0], ofPass: numbers[$0 + 1])
        }
        return (ServerTime(millisecondsSinceEpoch: numbers[0]), places)
    }
}

extension WaitingRoom {
    /// Looks once whether Redis and PostgreSQL agree about everybody in an event's queue; if not, begins a new life of
    /// the queue from PostgreSQL.
    ///
    /// - Returns: about how many people they differed; more than 0 is worth somebody's attention.
    package func reconcile(
        _ event: EventID,
        breath: Duration = .milliseconds(50),
        patience: Duration = .seconds(2)
    ) async throws -> Int {
        guard let epoch = try await store.epoch(of: event), epoch > 0 else { return 0 }
        let differing = try await QueueReconciliation(
            scripts: scripts,
            store: store,
            redis: redis,
            event: event,
            epoch: epoch,
            breath: breath,
            patience: patience
        ).run()
        guard !differing.isEmpty else { return 0 }
        logger.warning(
            "queue in Redis differs, restoring it",
            metadata: ["event.id": "\(event)", "people": "\(differing.count)"]
        )
        _ = try await rebuild.run(event, needing: epoch + 1)
        return differing.count
    }
}
