package import Events
import HoldfastCore
import Logging
import Redis
import ServiceLifecycle
import Synchronization

/// Lets people in, on one instance at a time.
///
/// Holds a lease of 2 s in Redis, so another instance takes over within 3 s of its death. Should two lead at once for a
/// moment, no limit is exceeded: the limits are checked in the script that admits, by Redis' clock.
///
/// Three loops: each second it opens events that are due and looks which queues there are; each 250 ms it ticks every
/// queue, in one pipeline; and beside it, right after each tick, writes to PostgreSQL what the tick did, and rebuilds
/// queues that Redis lost. The sooner an admission is durable, the fewer a Redis that is lost can take back.
package struct QueueLeader: Service {
    package typealias StatusChanged = @Sendable (Event) async -> Void

    private static let tickEvery = Duration.milliseconds(250)
    private static let lookEvery = Duration.seconds(1)
    /// Every so many ticks one is published although nothing changed.
    private static let publishEvery = 4
    private static let callsPerPipeline = 64
    /// Admissions that PostgreSQL does not know, per queue. At the bound nobody is let in until it answers again.
    private static let maxUndurable = 20_000

    private let waitingRoom: WaitingRoom
    private let lease: RedisLease
    private let metrics = QueueMetrics()
    private let onStatusChanged: StatusChanged

    /// - Parameter onStatusChanged: told of each event that opened by itself; at most one instance is told.
    package init(
        waitingRoom: WaitingRoom,
        onStatusChanged: @escaping StatusChanged
    ) {
        self.init(waitingRoom: waitingRoom, leaseKey: WaitingRoomKeys.leaderLease, onStatusChanged: onStatusChanged)
    }

    /// - Parameter leaseKey: a test's own, so that tests elect their own leaders.
    package init(
        waitingRoom: WaitingRoom,
        leaseKey: String,
        onStatusChanged: @escaping StatusChanged = { _ in }
    ) {
        self.waitingRoom = waitingRoom
        self.onStatusChanged = onStatusChanged
        lease = RedisLease(redis: waitingRoom.redis, key: leaseKey, logger: waitingRoom.logger)
    }

    /// Whether this instance leads now.
    package var isLeading: Bool { lease.isHeld }

    package func run() async throws {
        try await lease.whileHeld { try await lead() }
    }

    /// Leads without asking anybody, until cancelled.
    func lead() async throws {
        let term = Term()
        defer { metrics.resigned() }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await every(Self.lookEvery) { try await look(term) } }
            // One tick that was not settled is as good as many: what is unsettled is in Redis, not here.
            let (ticks, sink) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                try await every(Self.tickEvery) {
                    defer { sink.yield() }
                    try await tick(term)
                }
            }
            group.addTask { for await _ in ticks { await settle(term) } }
        }
    }

    /// A store that is away must not end the term: the next round tries again.
    private func every(_ period: Duration, _ body: () async throws -> Void) async throws {
        let clock = ContinuousClock()
        while true {
            let next = clock.now + period
            do {
                try await body()
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                waitingRoom.logger.debug("queue leader's round failed", metadata: ["error": "\(error)"])
            }
            try await clock.sleep(until: max(next, clock.now))
        }
    }

    // MARK: Rounds

    private func look(_ term: Term) async throws {
        for event in try await waitingRoom.events.openDue() { await onStatusChanged(event) }
        term.serve(try await waitingRoom.store.running())
    }

    private func tick(_ term: Term) async throws {
        let start = ContinuousClock.now
        var results: [QueueScripts.TickResult] = []
        let (queues, count) = term.next()
        var calls: [(event: EventID, call: RedisScriptCall)] = []
        for queue in queues where !queue.needsRebuild {
            guard let event = try await waitingRoom.events.event(queue.event), event.queue.enabled else { continue }
            let rules = QueueScripts.TickRules(
                epoch: queue.epoch,
                maxActive: event.queue.maxActive,
                ratePerMinute: event.queue.ratePerMinute,
                admits: event.status == .open && !event.queue.paused && queue.undurable < Self.maxUndurable,
                passMs: Int64(event.queue.passSeconds) * 1_000,
                publishes: count % Self.publishEvery == 0
            )
            calls.append((queue.event, waitingRoom.scripts.tickCall(rules, in: queue.event)))
        }
        for start in stride(from: 0, to: calls.count, by: Self.callsPerPipeline) {
            let chunk = calls[start..<min(start + Self.callsPerPipeline, calls.count)]
            let replies = try await waitingRoom.redis.eval(chunk.map(\.call))
            for (call, reply) in zip(chunk, replies) {
                switch try? QueueScripts.tickResult(reply) {
                case .value(let result):
                    term.ticked(call.event, undurable: result.undurable)
                    results.append(result)
                case .rebuild: term.lost(call.event)
                case nil: continue  // Its next tick tries again; the other queues must not wait for it.
                }
            }
        }
        metrics.ticked(results, since: start)
    }

    private func settle(_ term: Term) async {
        for queue in term.next(counting: false).queues {
            do {
                try await settle(queue, term)
            } catch {
                // The next tick tries again; the other queues must not wait for it.
                waitingRoom.logger.debug("queue not settled", metadata: ["error": "\(error)"])
            }
        }
    }

    private func settle(_ queue: Term.Queue, _ term: Term) async throws {
        if queue.needsRebuild {
            let needed = queue.needsDraw ? queue.epoch + 1 : queue.epoch
            _ = try await waitingRoom.rebuild.run(queue.event, needing: needed)
            if let epoch = try await waitingRoom.store.epoch(of: queue.event) {
                term.rebuilt(queue.event, epoch: epoch)
            }
        } else if queue.undurable > 0 {
            var left = queue.undurable
            while left > 0 {
                let written = try await waitingRoom.rebuild.settle(queue.event)
                left = written < 1_000 ? 0 : left - written
            }
            term.ticked(queue.event, undurable: 0)
        }
    }
}

extension QueueLeader {
    /// What one term of a leader knows about the queues it serves.
    private final class Term: Sendable {
        struct Queue: Sendable {
            var event: EventID
            var epoch: Int64
            var undurable = 0
            var needsRebuild: Bool
            var needsDraw: Bool
        }

        private struct State {
            var queues: [EventID: Queue] = [:]
            var ticks = 0
        }

        private let state = Mutex(State())

        func serve(_ running: [QueueStore.Running]) {
            state.withLock { state in
                var queues: [EventID: Queue] = [:]
                for found in running {
                    var queue =
                        state.queues[found.event]
                        ?? Queue(event: found.event, epoch: 0, needsRebuild: false, needsDraw: false)
                    // A rebuild that ended while PostgreSQL was asked knows the later epoch.
                    queue.epoch = max(queue.epoch, found.epoch)
                    queue.needsDraw = found.needsDraw
                    queue.needsRebuild = queue.needsRebuild || found.needsDraw || found.epoch == 0
                    queues[found.event] = queue
                }
                state.queues = queues
            }
        }

        func next(counting: Bool = true) -> (queues: [Queue], count: Int) {
            state.withLock { state in
                if counting { state.ticks += 1 }
                return (Array(state.queues.values), state.ticks)
            }
        }

        func ticked(_ event: EventID, undurable: Int) {
            state.withLock { $0.queues[event]?.undurable = undurable }
        }

        func lost(_ event: EventID) {
            state.withLock { $0.queues[event]?.needsRebuild = true }
        }

        func rebuilt(_ event: EventID, epoch: Int64) {
            state.withLock { state in
                state.queues[event]?.epoch = epoch
                state.queues[event]?.needsRebuild = false
                state.queues[event]?.needsDraw = false
            }
        }
    }
}
