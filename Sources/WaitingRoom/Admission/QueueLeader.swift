package import Events
import HoldfastCore
import Logging
import Redis
import ServiceLifecycle
import Synchronization

/// Lets people in, on one instance at a time.
///
/// Holds a lease of 2 s in Redis, so another instance takes over within 3 s of its death. A lease is only time: a leader
/// that was stopped may go on after it. Therefore each term has a number, and Redis refuses the ticks of an earlier term
/// than it has seen; besides, all limits are checked in the script, by Redis' clock.
///
/// Four loops: each second it opens events that are due and looks which queues there are; each 250 ms it reads their
/// rules, and beside that ticks every queue, in one pipeline; and queues that Redis lost are rebuilt. A tick that chose
/// people is followed by one transaction that writes them down, and at once by the tick that lets them in: nobody hears
/// of an admission that a lost Redis could take back.
///
/// While PostgreSQL is away passes go on ending and nobody is let in: whoever went in now could buy nothing, and the time
/// of the pass would run out.
package struct QueueLeader: Service {
    package typealias StatusChanged = @Sendable (Event) async -> Void

    private static let tickEvery = Duration.milliseconds(250)
    private static let lookEvery = Duration.seconds(1)
    /// Every so many ticks one is published although nothing changed.
    private static let publishEvery = 4
    private static let callsPerPipeline = 64
    /// Queues whose admissions are written at once; the others' next tick gives theirs again.
    private static let writesAtOnce = 8

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
        let term = Term(number: try await waitingRoom.store.nextTerm())
        defer { metrics.resigned() }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await every(Self.lookEvery) { try await look(term) } }
            group.addTask { try await every(Self.tickEvery) { try await readRules(term) } }
            // One round that was missed is as good as many: what is to be rebuilt is remembered by the term.
            let (ticks, sink) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                try await withThrowingDiscardingTaskGroup { writes in
                    try await every(Self.tickEvery) {
                        defer { sink.yield() }
                        for (queue, result) in try await tick(term) {
                            writes.addTask { await admit(queue, result, term) }
                        }
                    }
                }
            }
            group.addTask { for await _ in ticks { await rebuild(term) } }
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
        try await readRules(term)
    }

    /// From memory mostly; apart from the ticks, which must not wait for PostgreSQL.
    private func readRules(_ term: Term) async throws {
        for queue in term.next(counting: false).queues {
            if let event = try await waitingRoom.events.event(queue.id) { term.read(event) }
        }
    }

    /// - Returns: what is to be written to PostgreSQL; whoever gets it calls ``admit(_:_:_:)``.
    private func tick(_ term: Term) async throws -> [(Term.Queue, QueueScripts.TickResult)] {
        let start = ContinuousClock.now
        var results: [QueueScripts.TickResult] = []
        let (queues, count) = term.next()
        var calls: [(queue: Term.Queue, call: RedisScriptCall)] = []
        for queue in queues where !queue.needsRebuild {
            guard let event = queue.event, event.queue.enabled else { continue }
            let rules = rules(queue, event, term, publishes: count % Self.publishEvery == 0)
            calls.append((queue, waitingRoom.scripts.tickCall(rules, in: queue.id)))
        }
        var chosen: [(Term.Queue, QueueScripts.TickResult)] = []
        for start in stride(from: 0, to: calls.count, by: Self.callsPerPipeline) {
            let chunk = calls[start..<min(start + Self.callsPerPipeline, calls.count)]
            let replies = try await waitingRoom.redis.eval(chunk.map(\.call))
            for (call, reply) in zip(chunk, replies) {
                // One that failed is tried again by the next tick; the other queues must not wait for it.
                guard let tick = try? QueueScripts.tick(reply),
                    let result = try note(tick, of: call.queue, term)
                else { continue }
                results.append(result)
                term.passedOver(result.passedOver, in: call.queue.id)
                let isNews = [result.ended, result.passedOver, call.queue.passedOver].contains { !$0.isEmpty }
                let mustWrite = isNews || !result.admitting.isEmpty || !call.queue.wasWritten
                if mustWrite, term.beginWriting(call.queue.id, atMost: Self.writesAtOnce) {
                    chosen.append((call.queue, result))
                }
            }
        }
        metrics.ticked(results, since: start)
        return chosen
    }

    private func rules(
        _ queue: Term.Queue,
        _ event: Event,
        _ term: Term,
        publishes: Bool
    ) -> QueueScripts.TickRules {
        QueueScripts.TickRules(
            epoch: queue.epoch,
            term: term.number,
            version: event.queueVersion,
            maxActive: event.queue.maxActive,
            ratePerMinute: event.queue.ratePerMinute,
            admits: event.status == .open && !event.queue.paused && queue.knowsRules(at: .now),
            publishes: publishes
        )
    }

    /// - Throws: `CancellationError` when another leads: the term is over.
    private func note(
        _ tick: QueueScripts.Tick,
        of queue: Term.Queue,
        _ term: Term
    ) throws -> QueueScripts.TickResult? {
        switch tick {
        case .done(let result):
            if result.rulesAreOld { waitingRoom.events.forget(queue.id) }
            return result
        case .rebuild:
            term.lost(queue.id)
            return nil
        case .fenced:
            throw CancellationError()
        }
    }

    /// Writes down whom a tick chose, and lets them in.
    private func admit(_ queue: Term.Queue, _ result: QueueScripts.TickResult, _ term: Term) async {
        guard let event = queue.event else { return }
        do {
            let admissions = try await waitingRoom.store.admit(
                result.admitting,
                ended: result.ended,
                at: result.now,
                passMs: Int64(event.queue.passSeconds) * 1_000,
                epoch: queue.epoch,
                in: queue.id
            )
            if !queue.wasWritten { try await waitingRoom.rebuild.noteLetIn(queue.id) }
            try await waitingRoom.store.expire(upTo: result.now, in: queue.id)
            term.written(queue.id)
            if let admissions, !admissions.isEmpty {
                var rules = rules(queue, event, term, publishes: false)
                (rules.admissions, rules.chosenAt) = (admissions, result.now)
                let tick = try await waitingRoom.scripts.tick(rules, in: queue.id)
                if let letIn = try note(tick, of: queue, term)?.letIn, !letIn.isEmpty {
                    metrics.admitted(letIn.count)
                    try await waitingRoom.store.note(letIn: letIn, in: queue.id)
                }
            }
            // Last, for nobody waits for it. What cannot be written now is lost to support, and to nobody else.
            try await waitingRoom.store.note(
                passedOver: term.takePassedOver(in: queue.id),
                at: result.now,
                in: queue.id
            )
        } catch {
            // They keep their slots, and the next tick gives them again.
            waitingRoom.logger.debug("admissions not written", metadata: ["error": "\(error)"])
        }
        term.endWriting(queue.id)
    }

    private func rebuild(_ term: Term) async {
        for queue in term.next(counting: false).queues where queue.needsRebuild {
            do {
                let needed = queue.needsDraw ? queue.epoch + 1 : queue.epoch
                _ = try await waitingRoom.rebuild.run(queue.id, needing: needed)
                if let epoch = try await waitingRoom.store.epoch(of: queue.id) { term.rebuilt(queue.id, epoch: epoch) }
            } catch {
                // The next tick tries again; the other queues must not wait for it.
                waitingRoom.logger.debug("queue not rebuilt", metadata: ["error": "\(error)"])
            }
        }
    }
}
