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
    /// SplitMix64: the same seed gives the same run.
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    struct Bench {
        let redis: RedisClient
        let event = EventID()

        func run(_ script: RedisScript, _ now: Int64, _ arguments: [String]) async throws -> SeatReply {
            let keys = SeatingKeys(event: event)
            let common = [String(now), "1", event.rawValue, keys.channel]
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
            let keys = SeatingKeys(event: event)
            _ = try await redis.eval(
                SeatScript.rebuild,
                keys: keys.all,
                arguments: ["load", "1", "0", RedisArgument(keys.channel)]
            )
        }

        func end() async throws {
            _ = try await redis.send(
                RedisCommand("DEL", arguments: SeatingKeys(event: event).all.map { RedisArgument($0) })
            )
        }
    }

    @Test("Random holds, sales and moments leave Redis as the model says", arguments: [1, 2, 3, 4] as [UInt64])
    func matchesModel(seed: UInt64) async throws {
        try await TestRedis.withClient { redis in
            let bench = Bench(redis: redis)
            try await bench.begin()
            var random = Generator(state: seed)
            var model = HoldModel(holdMs: 1_000, maxSeats: 4)
            let seats = (1...12).map { "ÄÖ/\"-1-\($0)" }
            let users = (1...5).map { "user-\($0)" }
            var claims: [(id: String, order: String, user: String, seats: Set<String>)] = []
            var now: Int64 = 1_800_000_000_000
            for step in 0..<6_000 {
                now += Int64.random(in: 0...60, using: &random)
                let user = users.randomElement(using: &random) ?? "user-1"
                let count = Int.random(in: 0...5, using: &random)
                let wanted = Set(seats.shuffled(using: &random).prefix(count))
                let before = model
                var expected = "OK"
                let reply: SeatReply
                switch Int.random(in: 0..<12, using: &random) {
                case 0...5:
                    let exact = Bool.random(using: &random)
                    let open = Int.random(in: 0..<20, using: &random) > 0
                    expected = model.choose(user, wanted, exact: exact, open: open, now: now)
                    reply = try await bench.run(
                        SeatScript.select,
                        now,
                        [user, "1000", "4", open ? "1" : "0", "0", exact ? "exact" : "add"] + wanted
                    )
                case 6:
                    model.release(user, wanted.isEmpty ? nil : wanted, now: now)
                    reply = try await bench.run(SeatScript.release, now, [user] + wanted)
                case 7:
                    expected = model.extend(user, limit: 2, now: now)
                    reply = try await bench.run(SeatScript.extend, now, [user, "1000", "2"])
                case 8, 9:
                    // Mostly one's own hold; sometimes what is held by another, as after a hold that ended.
                    var taken = model.holds[user]?.seats ?? []
                    if Int.random(in: 0..<4, using: &random) == 0 { taken.formUnion(wanted) }
                    taken = taken.filter { model.claims[$0] == nil }
                    guard !taken.isEmpty else { continue }
                    let claim = "claim-\(step):1"
                    claims.append((claim, String(step), user, taken))
                    model.reserve(user, claim, taken, now: now)
                    reply = try await bench.run(SeatScript.markReserved, now, [user, claim, String(step)] + taken)
                case 10:
                    // Given back, again or early; or announced again, late.
                    guard let old = claims.randomElement(using: &random) else { continue }
                    model.free(old.id, old.seats, now: now)
                    reply = try await bench.run(SeatScript.free, now, [old.id] + old.seats)
                default:
                    guard let old = claims.randomElement(using: &random),
                        old.seats.allSatisfy({ model.claims[$0] == nil || model.freed.contains(old.id) })
                    else { continue }
                    model.reserve(old.user, old.id, old.seats, now: now)
                    reply = try await bench.run(
                        SeatScript.markReserved,
                        now,
                        [old.user, old.id, old.order] + old.seats
                    )
                }
                let show = try await bench.run(SeatScript.showHold, now, [user])
                let found = try show.selection()
                let hold = model.holds[user]
                let same =
                    reply.status.rawValue == expected && found.seq == model.seq
                    && Set(found.seats.map(\.rawValue)) == hold?.seats ?? []
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
                    #expect(Set(try map.seats(3).map(\.rawValue)) == Set(model.holds.values.flatMap(\.seats)))
                    #expect(Set(try map.seats(4).map(\.rawValue)) == Set(model.claims.keys))
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
            let wish = ["ann", "1000", "4", "1", "1", "exact"]
            #expect(try await bench.run(SeatScript.select, 4_999, wish + ["VIP-1-1"]).status == .ok)
            #expect(try await bench.run(SeatScript.select, 5_000, wish + ["VIP-1-2"]).status == .notAdmitted)
            let given = try await bench.run(SeatScript.select, 5_000, wish)
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
            let keys = SeatingKeys(event: bench.event)
            _ = try await redis.eval(
                SeatScript.rebuild,
                keys: keys.all,
                arguments: ["load", "2", "1000000000", RedisArgument(keys.channel)]
            )
            #expect(try await bench.run(SeatScript.showSeats, 1, []).status == .otherEpoch)
            try await bench.end()
        }
    }
}
