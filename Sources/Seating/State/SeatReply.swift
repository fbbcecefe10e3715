import HoldfastCore
import Redis

/// A script's reply: a status, the epoch, and the fields of the action.
struct SeatReply: Sendable {
    /// The first field of a reply.
    enum Status: String, Sendable, CaseIterable {
        case ok = "OK"
        case unavailable = "UNAVAILABLE"
        case notAdmitted = "PASS"
        case notOpen = "CLOSED"
        case orphan = "ORPHAN"
        case short = "SHORT"
        case limit = "LIMIT"
        case nothing = "NOTHING"
        case reset = "RESET"
        case old = "OLD"
        case otherEpoch = "EPOCH"
        case rebuild = "REBUILD"
        /// No script's: Redis has nothing of the event, which is closed.
        case over = "OVER"
    }

    let script: String
    let status: Status
    let fields: [RESPValue]

    init(_ value: RESPValue, of script: RedisScript) throws(RedisError) {
        if let failure = value.failure { throw failure }
        guard let fields = value.array, let status = fields.first?.string.flatMap({ Status(rawValue: $0) }) else {
            throw RedisError(.unexpectedReply, "\(script.name): the reply does not begin with a status")
        }
        self.script = script.name
        self.status = status
        self.fields = fields
    }

    /// What an action finds of a closed event that Redis does not know any more: nobody holds anything, and messages
    /// would go on where the next life would begin.
    static func over(after epoch: Int64, _ script: RedisScript) -> SeatReply {
        let seq = epoch * SeatRebuild.messagesPerEpoch
        let nothing = [Int(epoch), Int(seq), 0, 0, 0].map { RESPValue.integer($0) }
        return SeatReply(script: script.name, status: .over, fields: [.null] + nothing + [.array([]), .array([])])
    }

    private init(script: String, status: Status, fields: [RESPValue]) {
        (self.script, self.status, self.fields) = (script, status, fields)
    }

    func integer(_ index: Int) throws(RedisError) -> Int64 {
        guard index < fields.count, let number = fields[index].int else { throw unexpected("an integer", at: index) }
        return Int64(number)
    }

    func array(_ index: Int) throws(RedisError) -> [RESPValue] {
        guard index < fields.count, let array = fields[index].array else { throw unexpected("an array", at: index) }
        return array
    }

    /// Ids, or places as the scripts write them: ordinal, colon, id.
    func seats(_ index: Int, asPlaces: Bool = true) throws(RedisError) -> [SeatID] {
        var seats: [SeatID] = []
        for value in try array(index) {
            let text =
                asPlaces
                ? value.string.flatMap { $0.split(separator: ":", maxSplits: 1).last } : value.string.map { $0[...] }
            guard let seat = text.flatMap({ SeatID(String($0)) }) else { throw unexpected("seats", at: index) }
            seats.append(seat)
        }
        return seats
    }

    /// What the scripts' `answer` tells: status, epoch, seq, expiry, fence, extensions, seats, and the seats given, or refused.
    func selection() throws(RedisError) -> Selection {
        let seq = try integer(2)
        let seats = try seats(6).sorted()
        guard !seats.isEmpty else {
            return Selection(
                seats: [],
                expiresAt: nil,
                fence: nil,
                extensionsLeft: Selection.maxExtensions,
                seq: seq
            )
        }
        return Selection(
            seats: seats,
            given: status == .ok ? try self.seats(7).sorted() : [],
            expiresAt: ServerTime(millisecondsSinceEpoch: try integer(3)),
            fence: Fence(epoch: try integer(1), counter: try integer(4)),
            extensionsLeft: max(0, Selection.maxExtensions - Int(try integer(5))),
            seq: seq
        )
    }

    func unexpected(_ what: String, at index: Int) -> RedisError {
        RedisError(.unexpectedReply, "\(script): field \(index) of the reply is not \(what)", mayHaveRun: true)
    }
}
