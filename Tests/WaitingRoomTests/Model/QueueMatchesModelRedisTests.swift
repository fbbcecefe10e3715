import Events
import Foundation
import HoldfastCore
import Redis
import Synchronization
import TestSupport
import Testing

@testable import WaitingRoom

/// The scripts beside the model, on a real Redis, over the same random histories.
///
/// Time: the scripts take Redis' own `TIME` when their `now_ms` is 0, which is what the service always passes. A test
/// passes another, so that hours go by in a moment and every history can be played again.
@Suite(.enabled(if: TestRedis.isConfigured)) struct QueueMatchesModelRedisTests {
    private static let histories = 100
    private static let stepsEach = 520

    @Test("Over 50,000 random steps the scripts answer what the rules say")
    func matches() async throws {
        let chosen = QueueSimulationTests.chosenSeed
        let first = chosen ?? UInt64.random(in: 0..<1 << 40)
        let count = chosen == nil ? Self.histories : 1
        print("queue model beside Redis: seeds from \(first), \(count) histories of \(Self.stepsEach) steps")
        try await TestRedis.withClient { redis in
            let total = try await withThrowingTaskGroup(of: Int.self) { group in
                for part in 0..<4 {
                    group.addTask {
                        var total = 0
                        for index in stride(from: part, to: count, by: 4) {
                            total += try await Self.play(first + UInt64(index), redis)
                        }
                        return total
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(total >= count * Self.stepsEach)
        }
    }

    /// - Returns: how many steps were compared.
    private static func play(_ seed: UInt64, _ redis: RedisClient) async throws -> Int {
        var world = QueueWorld(seed: seed)
        world.run(stepsEach, stops: false)
        // Somebody else's test may make Redis forget its scripts; then the history is played again.
        for _ in 0..<5 {
            let event = EventID()
            defer { Task { await ScriptedHistory(event: event, redis: redis).wipe() } }
            if let mismatch = try await ScriptedHistory(event: event, redis: redis).play(world.steps) {
                if mismatch == .scriptsForgotten { continue }
                Issue.record("HOLDFAST_TEST_SEED=\(seed): \(mismatch)")
            }
            return world.steps.count
        }
        Issue.record("Redis forgets its scripts as fast as they are loaded")
        return 0
    }
}

/// Plays a history of the model on a real Redis, and compares.
struct ScriptedHistory: Sendable {
    enum Mismatch: Equatable, Sendable {
        case scriptsForgotten
        case differs(step: Int, String)
    }

    let event: EventID
    let redis: RedisClient

    func wipe() async {
        let keys = WaitingRoomKeys.all(event).map { RedisArgument($0) }
        _ = try? await redis.send(RedisCommand("DEL", arguments: keys))
    }

    func play(_ steps: [QueueStep]) async throws -> Mismatch? {
        try await loadScripts()
        for start in stride(from: 0, to: steps.count, by: 100) {
            var commands: [RedisCommand] = []
            var ends: [Int] = []
            for step in steps[start..<min(start + 100, steps.count)] {
                commands += try self.commands(step)
                ends.append(commands.count)
            }
            let replies = try await redis.send(commands)
            if replies.contains(where: { $0.failure?.serverError?.kind == .noScript }) { return .scriptsForgotten }
            for (offset, end) in ends.enumerated() {
                if let text = try difference(steps[start + offset], replies[end - 1]) {
                    return .differs(step: start + offset, text)
                }
            }
        }
        return nil
    }

    /// Each once, on keys of nobody.
    private func loadScripts() async throws {
        let scripts = QueueScripts(redis: redis, clock: { 1 })
        let nowhere = EventID()
        let rules = QueueScripts.TickRules(
            epoch: 0,
            term: 0,
            version: 0,
            maxActive: 1,
            ratePerMinute: 1,
            admits: false,
            publishes: false
        )
        let calls = [
            scripts.joinCall([], epoch: 1, in: nowhere), scripts.standCall([], in: nowhere),
            scripts.tickCall(rules, in: nowhere),
            scripts.rulesCall(0, unpaused: false, in: nowhere), scripts.claimCall(needing: 1, in: nowhere),
            scripts.loadCall("gone", epoch: 1, [], in: nowhere),
            scripts.leaveCall(try Self.user(0), over: 0, ended: 0, in: nowhere),
        ]
        _ = try await redis.eval(calls)
        await ScriptedHistory(event: nowhere, redis: redis).wipe()
    }

    private static func user(_ number: Int) throws -> UserID { try #require(UserID("u\(number)")) }

    // MARK: Steps as calls

    private func commands(_ step: QueueStep) throws -> [RedisCommand] {
        func scripts(_ now: Int64) -> QueueScripts { QueueScripts(redis: redis, clock: { now }) }
        switch step {
        case .join(let pairs, let epoch, let now, _):
            let places = try pairs.map { (user: try Self.user($0.user), qseq: Optional($0.qseq)) }
            return [scripts(now).joinCall(places, epoch: epoch, in: event).byDigest]
        case .stand(let people, let now, _, _):
            return [scripts(now).standCall(try people.map(Self.user), in: event).byDigest]
        case .leave(let user, let over, let ended, _):
            return [scripts(0).leaveCall(try Self.user(user), over: over, ended: ended, in: event).byDigest]
        case .announce(let version, let unpaused, let now):
            return [scripts(now).rulesCall(version, unpaused: unpaused, in: event).byDigest]
        case .tick(let call, let now, _):
            return [scripts(now).tickCall(try Self.rules(call), in: event).byDigest]
        case .wipe:
            return [RedisCommand("DEL", arguments: WaitingRoomKeys.all(event).map { RedisArgument($0) })]
        case .claim(let now):
            return [scripts(now).claimCall(needing: -1, in: event).byDigest]
        case .load(let content, let now):
            return QueueRebuild.steps(try Self.content(content)).map { step in
                scripts(now).loadCall(step.name, epoch: content.epoch, step.arguments, in: event).byDigest
            }
        }
    }

    private static func rules(_ call: RoomModel.TickCall) throws -> QueueScripts.TickRules {
        QueueScripts.TickRules(
            epoch: call.epoch,
            term: call.term,
            version: call.rules.version,
            maxActive: call.rules.maxActive,
            ratePerMinute: call.rules.ratePerMinute,
            admits: !call.rules.isPaused,
            publishes: false,
            admissions: try call.answers.map { answer in
                QueueAdmission(
                    user: try user(answer.user),
                    qseq: answer.qseq,
                    expiresAtMs: answer.expiresAt == 0 ? nil : answer.expiresAt
                )
            },
            chosenAt: ServerTime(millisecondsSinceEpoch: call.chosenAt)
        )
    }

    private static func content(_ content: LedgerModel.Content) throws -> QueueStore.Content {
        QueueStore.Content(
            epoch: content.epoch,
            nextQseq: content.nextQseq,
            waiting: content.waiting.map { ("u\($0.user)", $0.qseq) },
            passes: content.passes.map { ("u\($0.user)", $0.qseq, $0.expiresAt) },
            lastAdmittedMs: content.lastAdmitted,
            admittedTotal: content.admittedTotal,
            rulesVersion: content.rulesVersion,
            term: content.term
        )
    }

    // MARK: Answers

    /// - Returns: nil when Redis answered as the model did.
    private func difference(_ step: QueueStep, _ reply: RESPValue) throws -> String? {
        if let failure = reply.failure { return "\(failure)" }
        switch step {
        case .join(let pairs, _, _, let expected):
            let found = try QueueScripts.standings(reply, count: pairs.count)
            return Self.compare(expected.map { ($0, nil) }, Self.answer(found), "join \(pairs)")
        case .stand(let people, _, let places, let summary):
            let found = try QueueScripts.standings(reply, count: people.count)
            return Self.compare(places.map { ($0, summary) }, Self.answer(found), "stand \(people)")
        case .leave(let user, _, _, let isKnown):
            let isOk = reply.array?.first?.string == "ok"
            return isOk == isKnown ? nil : "leave \(user): \(isOk), the model says \(isKnown)"
        case .tick(let call, _, let expected):
            return Self.compare(expected, try QueueScripts.tick(reply), call)
        case .claim:
            return reply.array?.first?.string == "yours" ? nil : "claim: \(reply)"
        case .load:
            return reply.array?.first?.string == "ok" ? nil : "load: \(reply)"
        case .announce, .wipe: return nil
        }
    }

    private static func answer(
        _ found: QueueScripts.Answer<QueueScripts.Standings>
    ) -> ([RoomModel.Place], RoomModel.Summary)? {
        guard case .value(let standings) = found else { return nil }
        let places = standings.places.map { place -> RoomModel.Place in
            switch place {
            case .none, .lobby: .none
            case .stale: .stale
            case .waiting(let qseq, let ahead): .waiting(qseq: qseq, ahead: ahead)
            case .admitted(let until): .admitted(until: until.millisecondsSinceEpoch)
            }
        }
        let summary = standings.summary
        return (
            places,
            RoomModel.Summary(
                waiting: summary.waiting,
                active: summary.active,
                admittedTotal: summary.admittedTotal
            )
        )
    }

    private static func compare(
        _ expected: ([RoomModel.Place], RoomModel.Summary?)?,
        _ found: ([RoomModel.Place], RoomModel.Summary)?,
        _ what: String
    ) -> String? {
        guard expected?.0 == found?.0 else {
            return "\(what): \(found.map { "\($0.0)" } ?? "rebuild"), the model says "
                + (expected.map { "\($0.0)" } ?? "rebuild")
        }
        if let summary = expected?.1, summary != found?.1 {
            return "\(what): \(found.map { "\($0.1)" } ?? ""), the model says \(summary)"
        }
        return nil
    }

    private static func compare(
        _ expected: RoomModel.Tick,
        _ found: QueueScripts.Tick,
        _ call: RoomModel.TickCall
    ) -> String? {
        switch (expected, found) {
        case (.rebuild, .rebuild), (.fenced, .fenced): return nil
        case (.done(let expected), .done(let found)):
            let admitting = expected.admitting.map { "u\($0.user) \($0.qseq)" }
            let numbers = [expected.active, expected.waiting, expected.rulesAreOld ? 1 : 0]
            let isSame =
                found.admitting.map { "\($0.user) \($0.qseq)" } == admitting
                && found.letIn == expected.letIn.map(\.qseq)
                && Set(found.ended) == expected.ended
                && [found.active, found.waiting, found.rulesAreOld ? 1 : 0] == numbers
            return isSame ? nil : "tick \(call): \(found), the model says \(expected)"
        default: return "tick \(call): \(found), the model says \(expected)"
        }
    }
}
