import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import Synchronization

/// Runs the scripts against the current life of an event's seat state, and begins a new life when Redis lost it.
///
/// A closed event is the exception: nothing begins a life of it again, and every action is answered as ``SeatReply/over``.
///
/// An instance remembers the epoch it saw last and sends it along. A script that finds another one touches nothing:
/// a higher epoch is adopted, a lower or missing one means that Redis was wiped or came back from an old file, and the
/// state is rebuilt from PostgreSQL before the event takes another action.
final class SeatState: Sendable {
    let redis: RedisClient
    let postgres: PostgresClient
    private let passesKey: @Sendable (EventID) -> String
    let logger: Logger
    /// The time that scripts are given: 0 is the Redis server's clock. Tests set another.
    private let nowMs: @Sendable () -> Int64
    /// One entry per event that this instance has touched; a kilobyte and a half each.
    private let known = Mutex<[EventID: Known]>([:])
    /// The rebuilds under way in this process, so that a rush for one event starts one.
    private let rebuilds = Mutex<[EventID: Task<Int64?, any Error>]>([:])

    private struct Known {
        var epoch: Int64?
        var names: Names?
    }

    /// What every call about an event names, made once.
    private struct Names {
        let keys: [RedisArgument]
        let channel: RedisArgument
    }

    init(
        redis: RedisClient,
        postgres: PostgresClient,
        passesKey: @escaping @Sendable (EventID) -> String,
        logger: Logger,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        self.redis = redis
        self.postgres = postgres
        self.passesKey = passesKey
        self.logger = logger
        self.nowMs = nowMs
    }

    /// Runs one action, rebuilding the state first if it must be.
    ///
    /// - Parameters:
    ///   - actor: the connection that acts, if one does; see ``SeatMessage``.
    ///   - pinned: only in this life of the state. In another one nothing is done: it is rebuilt if need be, and
    ///     the reply is `otherEpoch` or `rebuild`.
    /// - Throws: ``Problem`` with `rebuilding` while another instance rebuilds for longer than a caller should wait.
    func run(
        _ script: RedisScript,
        _ event: EventID,
        _ arguments: [RedisArgument] = [],
        actor: String = "",
        onlyIn pinned: Int64? = nil
    ) async throws -> SeatReply {
        var epoch = if let pinned { pinned } else { try await knownEpoch(of: event) }
        // One round per way a state can change under us: lost, then rebuilt by another. More would be a storm.
        for _ in 0..<4 {
            let call = call(script, event, epoch: epoch, arguments, actor: actor)
            let reply = try SeatReply(try await redis.eval(call), of: script)
            switch reply.status {
            case .otherEpoch: epoch = adopt(try reply.integer(1), for: event)
            case .rebuild:
                guard let begun = try await rebuild(event) else { return .over(after: epoch, script) }
                epoch = begun
            default: return reply
            }
            if pinned != nil { return reply }
        }
        throw Problem(.rebuilding, "The seats of this event are being restored. Please try again in a moment.")
    }

    /// The call of a script that is sent as it is, for pipelines; its reply may be `REBUILD`.
    func call(
        _ script: RedisScript,
        _ event: EventID,
        epoch: Int64,
        _ arguments: [RedisArgument],
        actor: String = ""
    ) -> RedisScriptCall {
        let names = names(of: event)
        let common = [
            RedisArgument(nowMs()), RedisArgument(epoch), RedisArgument(event.rawValue), names.channel,
            RedisArgument(actor),
        ]
        return RedisScriptCall(script, keys: names.keys, arguments: common + arguments)
    }

    private func names(of event: EventID) -> Names {
        known.withLock { known in
            if let names = known[event]?.names { return names }
            let keys = SeatingKeys(event: event)
            let names = Names(
                keys: (keys.all + [passesKey(event)]).map { RedisArgument($0) },
                channel: RedisArgument(keys.channel)
            )
            known[event, default: Known()].names = names
            return names
        }
    }

    /// Several events in one round trip, for the sweeper. Events whose state is lost are left to their next visitor, and
    /// one whose script fails keeps no other event waiting.
    func runEach(_ script: RedisScript, _ events: [EventID], _ arguments: [RedisArgument]) async throws
        -> [(EventID, SeatReply)]
    {
        var calls: [RedisScriptCall] = []
        for event in events {
            calls.append(call(script, event, epoch: try await knownEpoch(of: event), arguments))
        }
        let replies = try await redis.eval(calls)
        var results: [(EventID, SeatReply)] = []
        for (event, value) in zip(events, replies) {
            guard let reply = try? SeatReply(value, of: script) else { continue }
            if reply.status == .otherEpoch { _ = adopt(try reply.integer(1), for: event) }
            if reply.status == .ok { results.append((event, reply)) }
        }
        return results
    }

    private func knownEpoch(of event: EventID) async throws -> Int64 {
        if let epoch = known.withLock({ $0[event]?.epoch }) { return epoch }
        return adopt(try await SeatEpochs.current(of: event, in: postgres), for: event)
    }

    @discardableResult
    func adopt(_ epoch: Int64, for event: EventID) -> Int64 {
        known.withLock { known in
            let newest = max(epoch, known[event]?.epoch ?? 0)
            known[event, default: Known()].epoch = newest
            return newest
        }
    }

    /// Forgets a closed or deleted event, here and in Redis.
    func forget(_ event: EventID) async throws {
        try await rebuilding(event).end()
        _ = known.withLock { $0.removeValue(forKey: event) }
    }

    // MARK: Rebuild

    /// Begins a new life of the state and returns its epoch. Callers of one process share one rebuild.
    ///
    /// - Parameter known: a life that must be over, however whole Redis seems.
    /// - Returns: nil when the event is closed or deleted.
    func rebuild(_ event: EventID, after known: Int64? = nil) async throws -> Int64? {
        let rebuild = rebuilding(event)
        while true {
            let (task, isOurs) = rebuilds.withLock { rebuilds in
                if let running = rebuilds[event] { return (running, false) }
                // Unstructured, because one caller's cancellation must not fail the others. Each caller awaits it, and
                // it ends by the stores' deadlines.
                let task = Task { try await rebuild.run(after: known) }
                rebuilds[event] = task
                return (task, true)
            }
            defer { rebuilds.withLock { if $0[event] == task { $0[event] = nil } } }
            guard let epoch = try await task.value else { return nil }
            // Another caller's may have found nothing to mend.
            if isOurs || known.map({ epoch > $0 }) ?? true { return adopt(epoch, for: event) }
        }
    }

    private func rebuilding(_ event: EventID) -> SeatRebuild {
        SeatRebuild(redis: redis, postgres: postgres, event: event, logger: logger)
    }
}
