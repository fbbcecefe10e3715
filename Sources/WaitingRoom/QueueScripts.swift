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
        /// Of the leader; Redis refuses a lower one than it knows.
        var term: Int64
        /// Of the rules; Redis lets nobody in by older ones than it knows.
        var version: Int64
        var maxActive: Int
        var ratePerMinute: Int
        var admits: Bool
        /// Publish although nothing changed, so that listeners notice a gap and totals stay fresh.
        var publishes: Bool
        /// Chosen by ticks before, and in PostgreSQL now.
        var admissions: [QueueAdmission] = []
        /// When the tick ran that gave them.
        var chosenAt = ServerTime(millisecondsSinceEpoch: 0)
    }

    struct TickResult: Sendable, Equatable {
        var now: ServerTime
        /// Places whose passes this call ended.
        var ended: [Int64]
        var active: Int
        var waiting: Int
        /// The event's rules have changed since they were read.
        var rulesAreOld: Bool
        /// Places of those whom this call let in.
        var letIn: [Int64]
        /// Places whose turn came while their people were away.
        var passedOver: [Int64] = []
        /// Chosen, and to be written to PostgreSQL; given again until a tick lets them in.
        var admitting: [QueueAdmission]
    }

    enum Tick: Sendable, Equatable {
        case done(TickResult)
        case rebuild
        /// A later leader has ticked.
        case fenced
    }

    enum Claim: Sendable, Equatable {
        case ready, busy
        /// With Redis' time.
        case yours(ServerTime)
    }

    /// Nobody seen for so long is away.
    static let awayMs: Int64 = 5_000
    /// Chosen, and ended, by one tick: 4,000 a second, twice the largest rate we rate an instance for.
    static let perTick = 1_000
    /// People put into the line by one script: 0.7 ms of Redis' time. A larger group is a pipeline of scripts.
    static let perJoin = 100
    /// Places looked at by one tick in search of someone who is there.
    static let scannedPerTick = 2_000
    /// An owner of a rebuild renews its claim every second, however long PostgreSQL takes; one that is silent for so long
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
    private static let rules = script("QueueRules", PackageResources.QueueRules_lua)
    private static let token = script("QueueToken", PackageResources.QueueToken_lua)
    private static let claim = script("QueueClaim", PackageResources.QueueClaim_lua)
    private static let load = script("QueueLoad", PackageResources.QueueLoad_lua)
    static let inspect = script("QueueInspect", PackageResources.QueueInspect_lua)

    // MARK: Line

    func join(
        _ places: [(user: UserID, qseq: Int64?)],
        epoch: Int64,
        in event: EventID
    ) async throws(RedisError) -> Answer<Standings> {
        let chunks = stride(from: 0, to: max(1, places.count), by: Self.perJoin).map { start in
            Array(places[start..<min(start + Self.perJoin, places.count)])
        }
        let replies = try await redis.eval(chunks.map { joinCall($0, epoch: epoch, in: event) })
        var all: Standings?
        for (chunk, reply) in zip(chunks, replies) {
            if let failure = reply.failure { throw failure }
            guard case .value(let found) = try Self.standings(reply, count: chunk.count) else { return .rebuild }
            all = Standings(summary: found.summary, places: (all?.places ?? []) + found.places)
        }
        guard let all else { throw Self.unexpected("QueueJoin") }
        return .value(all)
    }

    func joinCall(
        _ places: [(user: UserID, qseq: Int64?)],
        epoch: Int64,
        in event: EventID
    ) -> RedisScriptCall {
        var arguments = [
            RedisArgument(epoch), RedisArgument(clock()), RedisArgument(WaitingRoomKeys.newcomers),
            RedisArgument(event.rawValue),
        ]
        for place in places { arguments += [RedisArgument(place.user.rawValue), RedisArgument(place.qseq ?? 0)] }
        return RedisScriptCall(Self.join, keys: WaitingRoomKeys.all(event), arguments: arguments)
    }

    func stand(_ users: [UserID], in event: EventID) async throws(RedisError) -> Answer<Standings> {
        try Self.standings(try await run(standCall(users, in: event)), count: users.count)
    }

    func standCall(_ users: [UserID], in event: EventID) -> RedisScriptCall {
        let arguments = [RedisArgument(clock())] + users.map { RedisArgument($0.rawValue) }
        return RedisScriptCall(Self.stand, keys: WaitingRoomKeys.all(event), arguments: arguments)
    }

    func leave(
        _ user: UserID,
        over: Int64,
        ended: Int64,
        in event: EventID
    ) async throws(RedisError) -> Answer<Void> {
        let reply = try await run(leaveCall(user, over: over, ended: ended, in: event))
        return try Self.words(reply, "QueueLeave")[0].string == "rebuild" ? .rebuild : .value(())
    }

    func leaveCall(_ user: UserID, over: Int64, ended: Int64, in event: EventID) -> RedisScriptCall {
        RedisScriptCall(
            Self.leave,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(user.rawValue), RedisArgument(over), RedisArgument(ended)]
        )
    }

    private func run(_ call: RedisScriptCall) async throws(RedisError) -> RESPValue {
        try await redis.eval(call)
    }

    // MARK: Admission

    func tickCall(_ rules: TickRules, in event: EventID) -> RedisScriptCall {
        var arguments = [
            RedisArgument(rules.epoch), RedisArgument(clock()), RedisArgument(rules.term),
            RedisArgument(rules.version), RedisArgument(rules.maxActive), RedisArgument(rules.ratePerMinute),
            rules.admits ? "1" : "0", RedisArgument(Self.awayMs), RedisArgument(Self.perTick),
            RedisArgument(Self.scannedPerTick), RedisArgument(WaitingRoomKeys.channel(event)),
            rules.publishes ? "1" : "0",
        ]
        if !rules.admissions.isEmpty { arguments.append(RedisArgument(rules.chosenAt.millisecondsSinceEpoch)) }
        for admission in rules.admissions {
            arguments += [
                RedisArgument(admission.user.rawValue), RedisArgument(admission.qseq),
                RedisArgument(admission.expiresAtMs ?? 0),
            ]
        }
        return RedisScriptCall(Self.tick, keys: WaitingRoomKeys.all(event), arguments: arguments)
    }

    func tick(_ rules: TickRules, in event: EventID) async throws(RedisError) -> Tick {
        try Self.tick(try await run(tickCall(rules, in: event)))
    }

    static func tick(_ reply: RESPValue) throws(RedisError) -> Tick {
        if let failure = reply.failure { throw failure }
        let words = try words(reply, "QueueTick")
        switch words[0].string {
        case "rebuild": return .rebuild
        case "fenced": return .fenced
        default: break
        }
        let numbers = words.dropFirst().prefix(4).compactMap(\.int)
        guard numbers.count == 4 else { throw unexpected("QueueTick") }
        var rest = words.dropFirst(5)
        /// A list that tells its length first.
        func places() throws(RedisError) -> [Int64] {
            guard let count = rest.popFirst()?.int, (0...rest.count).contains(count) else {
                throw unexpected("QueueTick")
            }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count).compactMap { $0.int.map(Int64.init) }
        }
        var result = TickResult(
            now: ServerTime(millisecondsSinceEpoch: Int64(numbers[0])),
            ended: try places(),
            active: numbers[1],
            waiting: numbers[2],
            rulesAreOld: numbers[3] == 1,
            letIn: try places(),
            passedOver: try places(),
            admitting: []
        )
        while let user = rest.popFirst() {
            guard let user = user.string.flatMap(UserID.init), let qseq = rest.popFirst()?.int else {
                throw unexpected("QueueTick")
            }
            result.admitting.append(QueueAdmission(user: user, qseq: Int64(qseq)))
        }
        return .done(result)
    }

    /// From now on nobody is let in by older rules than these.
    func announce(rules version: Int64, unpaused: Bool, in event: EventID) async throws(RedisError) {
        _ = try await run(rulesCall(version, unpaused: unpaused, in: event))
    }

    func rulesCall(_ version: Int64, unpaused: Bool, in event: EventID) -> RedisScriptCall {
        RedisScriptCall(
            Self.rules,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(version), unpaused ? "1" : "0", RedisArgument(clock())]
        )
    }

    // MARK: Passes

    /// - Returns: the token kept before, if there is one for this admission.
    func keep(
        _ token: String,
        of user: UserID,
        expiresAtMs: Int64,
        in event: EventID
    ) async throws(RedisError) -> String {
        let reply = try await redis.eval(
            Self.token,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(user.rawValue), RedisArgument(expiresAtMs), RedisArgument(token)]
        )
        guard let kept = reply.string else { throw Self.unexpected("QueueToken") }
        return kept
    }

    // MARK: Rebuild

    func claim(needing epoch: Int64, in event: EventID) async throws(RedisError) -> Claim {
        let reply = try await run(claimCall(needing: epoch, in: event))
        let words = try Self.words(reply, "QueueClaim")
        switch words[0].string {
        case "ready": return .ready
        case "busy": return .busy
        default:
            guard words.count == 2, let now = words[1].int else { throw Self.unexpected("QueueClaim") }
            return .yours(ServerTime(millisecondsSinceEpoch: Int64(now)))
        }
    }

    func claimCall(needing epoch: Int64, in event: EventID) -> RedisScriptCall {
        claimCall(RedisArgument(epoch), event)
    }

    /// The owner of a claim is still at it. Nothing once the queue is there.
    func renewClaim(in event: EventID) async throws(RedisError) {
        _ = try await run(claimCall("renew", event))
    }

    private func claimCall(_ needed: RedisArgument, _ event: EventID) -> RedisScriptCall {
        RedisScriptCall(
            Self.claim,
            keys: WaitingRoomKeys.all(event),
            arguments: [needed, RedisArgument(clock()), RedisArgument(Self.claimMs)]
        )
    }

    /// - Returns: false when another load took over, or has finished.
    func load(
        _ step: String,
        epoch: Int64,
        _ arguments: [RedisArgument],
        in event: EventID
    ) async throws(RedisError) -> Bool {
        let reply = try await run(loadCall(step, epoch: epoch, arguments, in: event))
        return try Self.words(reply, "QueueLoad")[0].string == "ok"
    }

    func loadCall(
        _ step: String,
        epoch: Int64,
        _ arguments: [RedisArgument],
        in event: EventID
    ) -> RedisScriptCall {
        RedisScriptCall(
            Self.load,
            keys: WaitingRoomKeys.all(event),
            arguments: [RedisArgument(step), RedisArgument(epoch), RedisArgument(clock())] + arguments
        )
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
        guard words.count == 3, let numbers = words[1].array?.compactMap(\.int), numbers.count == 9,
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
            pace: QueuePace(admittedThousandths: numbers[7], milliseconds: numbers[8])
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
