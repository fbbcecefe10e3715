import Events
import HoldfastCore
import NIOCore
import Redis
import TestSupport
import Testing

@testable import Seating

/// The real scripts beside ``HoldModel``, with time given by the test.
@Suite(.enabled(if: TestRedis.isConfigured))
struct HoldsMatchModelRedisTests {
    struct Bench {
        let redis: RedisClient
        let event = EventID()

        func run(_ script: RedisScript, _ now: Int64, _ arguments: [String]) async throws -> SeatReply {
            let keys = SeatingKeys(event: event)
            let common = [String(now), "1", event.rawValue, keys.channel, "tab"]
            return try SeatReply(
                try await redis.eval(
                    script,
                    keys: keys.all + ["hf:{event:\(event)}:test-passes"],
                    arguments: (common + arguments).map { RedisArgument($0) }
                ),
                of: script
            )
        }

        func begin() async throws {
            let replies = try await live(epoch: 1)
            #expect(replies == [.ok, .ok])
        }

        /// The steps of a rebuild, of which one may be lost.
        func live(
            epoch: Int64,
            claims: [RedisArgument] = [],
            losing lost: Int? = nil
        ) async throws -> [SeatReply.Status] {
            let keys = SeatingKeys(event: event)
            var steps = SeatRebuild.steps(claims, epoch: epoch, channel: keys.channel)
            steps.insert(["begin", RedisArgument(epoch), RedisArgument(HoldModel.places.count)], at: 0)
            if let lost { steps.remove(at: lost) }
            var statuses: [SeatReply.Status] = []
            for step in steps {
                let reply = try await redis.eval(SeatScript.rebuild, keys: keys.all, arguments: step)
                statuses.append(try SeatReply(reply, of: SeatScript.rebuild).status)
            }
            return statuses
        }

        func end() async throws {
            _ = try await redis.send(
                RedisCommand("DEL", arguments: SeatingKeys(event: event).all.map { RedisArgument($0) })
            )
        }
    }

    /// As the scripts write places.
    private static func place(_ id: String) -> String {
        "\(HoldModel.places.firstIndex(of: id) ?? -1):\(id)"
    }

    private static func arguments(_ user: String, _ wish: HoldModel.Wish, noOrphans: Bool) -> [String] {
        // Sections, as their first seat, their end, and the length of a row.
        let rules = [user, "1000", "4", wish.open ? "1" : "0", "0", wish.request]
        var arguments = rules + [wish.exact ? "exact" : "add", noOrphans ? "0 12 6" : "", String(wish.seats.count)]
        arguments += [String(wish.groups.isEmpty ? 0 : wish.seats.count), wish.standing == nil ? "0" : "1"]
        arguments += wish.seats.map(place)
        if let standing = wish.standing { arguments += ["12", "5", "Floor", String(standing)] }
        return arguments + wish.groups.joined().map(place)
    }

    private static func wish(by random: inout SeededGenerator, step: Int) -> HoldModel.Wish {
        let seats = HoldModel.rows.joined().shuffled(using: &random)
        let count = Int.random(in: 0...4, using: &random)
        var wish = HoldModel.Wish(
            seats: Array(seats.prefix(count)),
            exact: Bool.random(using: &random),
            open: Int.random(in: 0..<20, using: &random) > 0
        )
        if Int.random(in: 0..<3, using: &random) == 0 { wish.standing = Int.random(in: 0...3, using: &random) }
        // Sometimes an answer is lost and the request sent again.
        if Bool.random(using: &random) { wish.request = "select:\(step / 3)" }
        if count > 0, count < 3, Bool.random(using: &random) {
            wish.groups = (0..<4).map { _ in
                let row = Int.random(in: 0..<2, using: &random)
                let first = Int.random(in: 0...6 - count, using: &random)
                return Array(HoldModel.rows[row][first..<first + count])
            }
        }
        return wish
    }

    /// With 8 seeds 104,000 steps, each compared with the model.
    @Test("Random holds, sales and moments leave Redis as the model says", arguments: Array<UInt64>(1...8))
    func matchesModel(seed: UInt64) async throws {
        try await TestRedis.withClient { redis in
            let bench = Bench(redis: redis)
            try await bench.begin()
            var random = SeededGenerator(seed: seed)
            var model = HoldModel(holdMs: 1_000, maxSeats: 4, noOrphans: seed.isMultiple(of: 2))
            let users = (1...5).map { "user-\($0)" }
            var claims: [(id: String, order: String, user: String, seats: [String])] = []
            var now: Int64 = 1_800_000_000_000
            for step in 0..<13_000 {
                now += Int64.random(in: 0...60, using: &random)
                let user = users.randomElement(using: &random) ?? "user-1"
                let some = Array(
                    HoldModel.places.shuffled(using: &random).prefix(Int.random(in: 0...4, using: &random))
                )
                let before = model
                var expected = "OK"
                let reply: SeatReply
                switch Int.random(in: 0..<14, using: &random) {
                case 0...6:
                    let wish = Self.wish(by: &random, step: step)
                    expected = model.choose(user, wish, now: now)
                    reply = try await bench.run(
                        SeatScript.select,
                        now,
                        Self.arguments(user, wish, noOrphans: model.noOrphans)
                    )
                case 7:
                    model.release(user, some.isEmpty ? nil : some, now: now)
                    reply = try await bench.run(SeatScript.release, now, [user] + some.map(Self.place))
                case 8:
                    let request = Bool.random(using: &random) ? "extend:\(step / 9)" : ""
                    expected = model.extend(user, limit: 2, request: request, now: now)
                    reply = try await bench.run(SeatScript.extend, now, [user, "1000", "2", request])
                case 9, 10:
                    // Mostly one's own hold; sometimes what is held by another, as after a hold that ended.
                    var taken = model.holds[user]?.seats ?? []
                    if Int.random(in: 0..<4, using: &random) == 0 { taken += some.filter { !taken.contains($0) } }
                    taken = taken.filter { model.claims[$0] == nil }
                    guard !taken.isEmpty else { continue }
                    let claim = "claim-\(step):1"
                    claims.append((claim, String(step), user, taken))
                    model.reserve(user, claim, taken, now: now)
                    reply = try await bench.run(
                        SeatScript.markReserved,
                        now,
                        [user, claim, String(step)] + taken.map(Self.place)
                    )
                case 11:
                    // Given back, again or early; or announced again, late.
                    guard let old = claims.randomElement(using: &random) else { continue }
                    model.free(old.id, old.seats, now: now)
                    reply = try await bench.run(SeatScript.free, now, [old.id] + old.seats.map(Self.place))
                case 12:
                    let isBlocked = Int.random(in: 0..<4, using: &random) == 0
                    let seats = some.isEmpty ? HoldModel.places : Array(some.prefix(1))
                    guard !isBlocked || seats.count == 1 else { continue }
                    model.block(isBlocked, seats, now: now)
                    reply = try await bench.run(
                        SeatScript.block,
                        now,
                        [isBlocked ? "1" : "0"] + seats.map(Self.place)
                    )
                default:
                    guard let old = claims.randomElement(using: &random),
                        old.seats.allSatisfy({ model.claims[$0] == nil || model.freed.contains(old.id) })
                    else { continue }
                    model.reserve(old.user, old.id, old.seats, now: now)
                    reply = try await bench.run(
                        SeatScript.markReserved,
                        now,
                        [old.user, old.id, old.order] + old.seats.map(Self.place)
                    )
                }
                let show = try await bench.run(SeatScript.showHold, now, [user])
                let found = try show.selection()
                let hold = model.holds[user]
                let same =
                    reply.status.rawValue == expected && found.seq == model.seq
                    && found.seats.map(\.rawValue) == (hold?.seats ?? []).sorted()
                    && found.expiresAt?.millisecondsSinceEpoch == hold?.expiresMs
                    && found.fence?.counter == hold?.fence
                if !same {
                    Issue.record(
                        "seed \(seed), step \(step): \(reply) \(found)\nexpected \(expected) \(model)\nbefore \(before)"
                    )
                    break
                }
                if step % 50 == 0 {
                    let map = try await bench.run(SeatScript.showSeats, now, [])
                    let held = Set(model.holds.values.flatMap(\.seats))
                    let letters = HoldModel.places.map { model.claims[$0] != nil ? "r" : held.contains($0) ? "l" : "a" }
                    #expect(map.fields.last?.string == letters.joined(), "seed \(seed), step \(step)")
                }
            }
            let changes = try await bench.run(SeatScript.showChanges, now, [String(max(0, model.seq - 500))])
            let seqs = try changes.array(3).compactMap { $0.buffer.flatMap { SeatChange(logged: $0) }?.seq }
            #expect(seqs == Array(max(0, model.seq - 500)...model.seq).dropFirst().map { $0 })
            try await bench.end()
        }
    }

    @Test("A pass that ended admits nobody, and seats may be given back without one")
    func passes() async throws {
        try await TestRedis.withClient { redis in
            let bench = Bench(redis: redis)
            try await bench.begin()
            let passes = "hf:{event:\(bench.event)}:test-passes"
            _ = try await redis.send(RedisCommand("ZADD", RedisArgument(passes), "5000", "ann"))
            let wish = ["ann", "1000", "4", "1", "1", "", "exact", ""]
            let (first, second, none) = (["1", "0", "0", "0:A-1-1"], ["1", "0", "0", "1:A-1-2"], ["0", "0", "0"])
            #expect(try await bench.run(SeatScript.select, 4_999, wish + first).status == .ok)
            #expect(try await bench.run(SeatScript.select, 5_000, wish + second).status == .notAdmitted)
            let given = try await bench.run(SeatScript.select, 5_000, wish + none)
            #expect(given.status == .ok)
            #expect(try given.selection().seats.isEmpty)
            _ = try await redis.send(RedisCommand("DEL", RedisArgument(passes)))
            try await bench.end()
        }
    }

    @Test("Scripts refuse a state of another life, or none, and touch nothing")
    func epochs() async throws {
        try await TestRedis.withClient { redis in
            let bench = Bench(redis: redis)
            #expect(try await bench.run(SeatScript.showSeats, 1, []).status == .rebuild)
            let begun = try await bench.live(epoch: 2)
            #expect(begun == [.ok, .ok])
            #expect(try await bench.run(SeatScript.showSeats, 1, []).status == .otherEpoch)
            try await bench.end()
        }
    }

    @Test("A life of which a step was lost does not begin, and the next one does", arguments: [0, 1, 2])
    func lostStep(_ lost: Int) async throws {
        try await TestRedis.withClient { redis in
            let bench = Bench(redis: redis)
            // More than one step of claims, all on the first place: what counts is how many came.
            let claims = (0..<501).flatMap { [RedisArgument("0:\(HoldModel.places[0])"), RedisArgument("u|r:\($0)")] }
            let statuses = try await bench.live(epoch: 3, claims: claims, losing: lost)
            #expect(statuses.last == .old)
            #expect(try await bench.run(SeatScript.showSeats, 1, []).status == .rebuild)
            let again = try await bench.live(epoch: 4, claims: claims)
            #expect(again == [.ok, .ok, .ok, .ok])
            // It is there, and later than the first, which the bench asks for.
            #expect(try await bench.run(SeatScript.showSeats, 1, []).status == .otherEpoch)
            try await bench.end()
        }
    }
}
