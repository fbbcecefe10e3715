import HoldfastCore
import Redis

/// Loads a queue into a Redis that lost it, in the same order; nobody is overtaken and no client is needed.
///
/// One instance does it, by a claim in Redis that lapses unless it is renewed; the others wait for it a moment. Should two do it all the
/// same, the one with the higher epoch wins, and PostgreSQL gives each its own.
struct QueueRebuild: Sendable {
    private static let patience = Duration.seconds(2)
    private static let pause = Duration.milliseconds(20)
    /// A fifth of the time after which a claim lapses.
    private static let renewEvery = Duration.seconds(1)
    /// Presence is reported every two seconds; after a loss admission waits until everybody had the chance.
    private static let holdMs = 3_000
    /// Places or people in one step, about a millisecond of Redis' time.
    private static let step = 1_000

    let scripts: QueueScripts
    let store: QueueStore
    let redis: RedisClient

    /// Returns when Redis knows the queue in this epoch or a later one.
    ///
    /// - Parameter needed: 0 for any.
    /// - Returns: false if nobody ever queued for the event, or it is closed and needs no queue.
    /// - Throws: ``Problem`` with ``ProblemCode/rebuilding`` when another instance is at it for longer than 2 s.
    func run(_ event: EventID, needing needed: Int64) async throws -> Bool {
        guard let known = try await store.epochUnlessClosed(event) else { return false }
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            switch try await scripts.claim(needing: max(known, needed, 1), in: event) {
            case .ready: return true
            case .busy: try await Task.sleep(for: Self.pause)
            case .yours(let now):
                guard let content = try await load(event, clearing: false, now: now) else { return false }
                return !content.isClosed
            }
        }
        throw Problem(.rebuilding, "The waiting room is being restored. Try again in a moment.")
    }

    /// Empties the line in PostgreSQL and begins a new life of the queue in Redis.
    func clear(_ event: EventID) async throws -> Int {
        guard try await store.epoch(of: event) != nil else { return 0 }
        return try await load(event, clearing: true, now: try await claim(event))?.cleared ?? 0
    }

    /// Removes the queue from Redis, and not in the middle of a load.
    func end(_ event: EventID) async throws {
        _ = try await claim(event)
        try await unlink(event)
    }

    /// Whatever life Redis has of the queue, the next one is ours to begin.
    private func claim(_ event: EventID) async throws -> ServerTime {
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            if case .yours(let now) = try await scripts.claim(needing: -1, in: event) { return now }
            try await Task.sleep(for: Self.pause)
        }
        throw Problem(.rebuilding, "The waiting room is being restored. Try again in a moment.")
    }

    private func unlink(_ event: EventID) async throws {
        let keys = WaitingRoomKeys.all(event).map { RedisArgument($0) }
        _ = try await redis.send(RedisCommand("UNLINK", arguments: keys))
    }

    private func load(
        _ event: EventID,
        clearing: Bool,
        now: ServerTime
    ) async throws -> QueueStore.Content? {
        do {
            return try await claiming(event) {
                // A life that is only renewed still knows whom it let in.
                try await noteLetIn(event)
                let order = clearing ? nil : try await store.closeRoster(event)?.order(in: event)
                let content = try await store.renew(event, clearing: clearing, order: order, now: now)
                if let content, !content.isClosed { try await load(content, event) } else { try await unlink(event) }
                return content
            }
        } catch {
            // Best effort: another may try at once instead of when the claim lapses.
            _ = try? await redis.send(
                RedisCommand("HDEL", RedisArgument(WaitingRoomKeys.meta(event)), "loading_ms")
            )
            throw error
        }
    }

    /// Keeps the claim while `body` runs.
    private func claiming<Result: Sendable>(
        _ event: EventID,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                while (try? await Task.sleep(for: Self.renewEvery)) != nil {
                    // Redis may be away for a moment; the claim outlasts some of these.
                    try? await scripts.renewClaim(in: event)
                }
            }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    /// Tells PostgreSQL of everybody with a pass that Redis let them in: whoever did so may have died before saying it.
    func noteLetIn(_ event: EventID) async throws {
        let key = RedisArgument(WaitingRoomKeys.passPlaces(event))
        let pairs = try await redis.send(RedisCommand("HGETALL", key)).array ?? []
        let places = stride(from: 1, to: pairs.count, by: 2).compactMap { pairs[$0].int.map(Int64.init) }
        if !places.isEmpty { try await store.note(letIn: places, in: event) }
    }

    private func load(_ content: QueueStore.Content, _ event: EventID) async throws {
        for step in Self.steps(content) {
            // A later epoch took over: it serves the caller as well.
            guard try await scripts.load(step.name, epoch: content.epoch, step.arguments, in: event) else { return }
        }
    }

    /// A load in steps that each hold Redis up for a millisecond at most.
    static func steps(_ content: QueueStore.Content) -> [(name: String, arguments: [RedisArgument])] {
        var steps: [(name: String, arguments: [RedisArgument])] = [("begin", [])]
        for chunk in chunks(content.waiting) {
            steps.append(("waiting", chunk.flatMap { [RedisArgument($0.user), RedisArgument($0.qseq)] }))
        }
        for chunk in chunks(content.passes) {
            let arguments = chunk.flatMap {
                [RedisArgument($0.user), RedisArgument($0.qseq), RedisArgument($0.expiresAtMs)]
            }
            steps.append(("passes", arguments))
        }
        for chunk in chunks(content.lobby) { steps.append(("lobby", chunk.map { RedisArgument($0) })) }
        let gaps = QueueGaps(waiting: content.waiting.map(\.qseq), next: content.nextQseq)
        for run in gaps.runs(ofAtMost: Int64(step)) {
            steps.append(("gone", [RedisArgument(run.lowerBound), RedisArgument(run.upperBound)]))
        }
        let isFirst = content.epoch == 1 || content.waiting.isEmpty
        steps.append(
            (
                "finish",
                [
                    RedisArgument(gaps.prefix), RedisArgument(content.nextQseq - 1),
                    content.lastAdmittedMs == nil ? "full" : "empty", RedisArgument(isFirst ? 0 : holdMs),
                    RedisArgument(content.admittedTotal),
                    RedisArgument(content.rulesVersion), RedisArgument(content.term),
                ]
            )
        )
        return steps
    }

    private static func chunks<Element>(_ all: [Element]) -> [ArraySlice<Element>] {
        stride(from: 0, to: all.count, by: step).map { all[$0..<min($0 + step, all.count)] }
    }
}
