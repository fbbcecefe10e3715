import HoldfastCore
import Redis

/// The scripts of the waiting room: arguments in, decoded replies out.
///
/// `clock` is a test's: it answers the milliseconds given to the scripts instead of Redis' own `TIME`, 0 for that.
struct QueueScripts: Sendable {
    /// A refusal every script may give: this Redis does not know the queue, or knows an older life of it.
    enum Answer<Value: Sendable>: Sendable {
        case value(Value)
        case rebuild
    }

    struct Standings: Sendable, Equatable {
        var summary: QueueSummary
        var places: [QueuePlace]
    }

    struct TickRules: Sendable, Equatable {
        var epoch: Int64
        var maxActive: Int
        var ratePerMinute: Int
        var admits: Bool
        var passMs: Int64
        /// Publish although nothing changed, so that listeners notice a gap and totals stay fresh.
        var publishes: Bool
    }

    struct TickResult: Sendable, Equatable {
        var admitted: Int
        var ended: Int
        var undurable: Int
        var active: Int
        var waiting: Int
    }

    enum Claim: Sendable, Equatable { case ready, busy, yours }

    /// Nobody seen for so long is away.
    static let awayMs: Int64 = 5_000
    /// Admitted, and ended, by one tick: 4,000 a second, twice the largest rate we rate an instance for.
    static let perTick = 1_000
    /// Places looked at by one tick in search of someone who is there.
    static let scannedPerTick = 2_000
    /// Longer than one step of a rebuild takes, the reading of PostgreSQL being the longest; an owner silent for so long
    /// is dead, and another instance tries.
    static let claimMs: Int64 = 5_000

    let redis: RedisClient
    var clock: @Sendable () -> Int64 = { 0 }

    private static func script(_ name: String, _ body: [UInt8]) -> RedisScript {
        RedisScript(name: name, source: PackageResources.QueueCommon_lua + body)
    }

    private static let join = script("QueueJoin", PackageResources.QueueJoin_lua)
    private static let stand = script("QueueStand", PackageResources.QueueStand_lua)
    private static let leave = script("QueueLeave", PackageResources.QueueLeave_lua)
    private static let tick = script("QueueTick", PackageResources.QueueTick_lua)
    private static let claim = script("QueueClaim", PackageResources.QueueClaim_lua)
    private static let load = script("QueueLoad", PackageResources.QueueLoad_lua)

    // MARK: Line

    func join(
        _ places: [(user: UserID, qseq: Int64?)],
        epoch: Int64,
        in event: EventID
    ) async throws(RedisError) -> Answer<Standings> {
        var arguments = [RedisArgument(epoch), RedisArgument(clock())]
        for place in places { arguments += [RedisArgument(place.user.rawValue), RedisArgument(place.qseq ?? 0)] }
        let reply = try await redis.eval(Self.join, keys: WaitingRoomKeys.all(event), arguments: arguments)
        return try Self.standings(reply, count: places.count)
    }

    func stand(_ users: [UserID], in event: EventID) async throws(RedisError) -> Answer<Standings> {
        let arguments = [RedisArgument(clock())] + users.map { RedisArgument($0.rawValue) }
        let reply = try await redis.eval(Self.stand, keys: WaitingRoomKeys.all(event), arguments: arguments)
        return try Self.standings(reply, count: users.count)
    }

    func leave(
        _ user: UserID,
        over: Int64,
        ended: Int64,
        in event: EventID
    ) async throws(RedisError) -> Answer<Void> {
        let reply = try await redis.eval(
            Self.leave,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(user.rawValue), RedisArgument(over), RedisArgument(ended)]
        )
        return try Self.words(reply, "QueueLeave")[0].string == "rebuild" ? .rebuild : .value(())
    }

    // MARK: Admission

    func tickCall(_ rules: TickRules, in event: EventID) -> RedisScriptCall {
        RedisScriptCall(
            Self.tick,
            keys: WaitingRoomKeys.all(event),
            arguments: [
                RedisArgument(rules.epoch), RedisArgument(clock()), RedisArgument(rules.maxActive),
                RedisArgument(rules.ratePerMinute), rules.admits ? "1" : "0", RedisArgument(rules.passMs),
                RedisArgument(Self.awayMs), RedisArgument(Self.perTick), RedisArgument(Self.scannedPerTick),
                RedisArgument(WaitingRoomKeys.channel(event)), rules.publishes ? "1" : "0",
            ]
        )
    }

    func tick(_ rules: TickRules, in event: EventID) async throws(RedisError) -> Answer<TickResult> {
        let call = tickCall(rules, in: event)
        return try Self.tickResult(try await redis.eval(call.script, keys: call.keys, arguments: call.arguments))
    }

    static func tickResult(_ reply: RESPValue) throws(RedisError) -> Answer<TickResult> {
        if let failure = reply.failure { throw failure }
        let words = try words(reply, "QueueTick")
        if words[0].string == "rebuild" { return .rebuild }
        let numbers = words.dropFirst().compactMap(\.int)
        guard numbers.count == 5 else { throw unexpected("QueueTick") }
        return .value(
            TickResult(
                admitted: numbers[0],
                ended: numbers[1],
                undurable: numbers[2],
                active: numbers[3],
                waiting: numbers[4]
            )
        )
    }

    // MARK: Rebuild

    func claim(needing epoch: Int64, in event: EventID) async throws(RedisError) -> Claim {
        let reply = try await redis.eval(
            Self.claim,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(epoch), RedisArgument(clock()), RedisArgument(Self.claimMs)]
        )
        switch try Self.words(reply, "QueueClaim")[0].string {
        case "ready": return .ready
        case "busy": return .busy
        case "yours": return .yours
        default: throw Self.unexpected("QueueClaim")
        }
    }

    /// - Returns: false when another load took over, or has finished.
    func load(
        _ step: String,
        epoch: Int64,
        _ arguments: [RedisArgument],
        in event: EventID
    ) async throws(RedisError) -> Bool {
        let reply = try await redis.eval(
            Self.load,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(step), RedisArgument(epoch), RedisArgument(clock())] + arguments
        )
        return try Self.words(reply, "QueueLoad")[0].string == "ok"
    }

    // MARK: Replies

    private static func words(_ reply: RESPValue, _ name: String) throws(RedisError) -> [RESPValue] {
        guard let words = reply.array, !words.isEmpty else { throw unexpected(name) }
        return words
    }

    private static func unexpected(_ name: String) -> RedisError {
        RedisError(.unexpectedReply, "\(name): a reply of another shape than the script gives", mayHaveRun: true)
    }

    static func standings(_ reply: RESPValue, count: Int) throws(RedisError) -> Answer<Standings> {
        let words = try words(reply, "QueueStand")
        if words[0].string == "rebuild" { return .rebuild }
        guard words.count == 3, let numbers = words[1].array?.compactMap(\.int), numbers.count == 8,
            let places = words[2].array?.compactMap(place), places.count == count
        else { throw unexpected("QueueStand") }
        let summary = QueueSummary(
            epoch: Int64(numbers[0]),
            tick: Int64(numbers[1]),
            prefix: Int64(numbers[2]),
            waiting: numbers[3],
            lobby: numbers[4],
            active: numbers[5],
            admittedTotal: numbers[6],
            undurable: numbers[7]
        )
        return .value(Standings(summary: summary, places: places))
    }

    private static func place(_ reply: RESPValue) -> QueuePlace? {
        guard let words = reply.array, let kind = words.first?.string else { return nil }
        switch (kind, words.count) {
        case ("none", 1): return QueuePlace.none
        case ("lobby", 1): return .lobby
        case ("stale", 1): return .stale
        case ("admitted", 2):
            return words[1].int.map { .admitted(expiresAt: ServerTime(millisecondsSinceEpoch: Int64($0))) }
        case ("waiting", 3):
            guard let qseq = words[1].int, let ahead = words[2].int else { return nil }
            return .waiting(qseq: Int64(qseq), ahead: ahead)
        default: return nil
        }
    }
}
