package import HoldfastCore

/// What a fan asks the service for.
package enum FanRequest: Equatable, Sendable {
    case joinEvent
    case joinQueue
    /// The same over HTTP.
    case checkQueue
    case enter
    /// The compact seat map, over HTTP.
    case look
    /// Exactly these seats, none to let all go.
    case select([Int32])
    case bestAvailable(Int)
    /// So many places of a standing area, by its number, and nothing else.
    case stand(area: Int, count: Int)
    case extend
    case reserve([Int32], key: UInt64)
    case pay(ReservationID, method: String)
    case cancel(ReservationID)
    case leaveQueue
    /// Something that the service must refuse: the number of one of ``Nonsense/all``.
    case nonsense(Int)

    /// As reports name it.
    package var name: String {
        switch self {
        case .joinEvent: "join event"
        case .joinQueue, .checkQueue: "join queue"
        case .enter: "enter"
        case .look: "look"
        case .select: "select"
        case .bestAvailable: "best available"
        case .stand: "stand"
        case .extend: "extend"
        case .reserve: "reserve"
        case .pay: "pay"
        case .cancel: "cancel"
        case .leaveQueue: "leave"
        case .nonsense: "nonsense"
        }
    }

    package var isHTTP: Bool {
        switch self {
        case .checkQueue, .look, .reserve, .pay, .cancel: true
        case .joinEvent, .joinQueue, .enter, .select, .bestAvailable, .stand, .extend, .leaveQueue, .nonsense: false
        }
    }
}

/// What happens to a fan.
package enum FanEvent: Sendable {
    /// The time of ``FanState/wakeAt`` has come.
    case woken
    case connected
    /// `isFinal`: the service said that this person may not come in.
    case notConnected(isFinal: Bool)
    case disconnected
    /// To the one request that is under way.
    case answered(FanAnswer)
    case unanswered
    case seatMap([UInt8])
    case admitted
    case passEnded
    case holdExpired
    case loggedOut
    /// The instance leaves; come back after this long.
    case draining(Duration)
}

/// What a fan does.
package enum FanAction: Equatable, Sendable {
    /// To one of the plan's servers. Latency counts from `due`, however late it is really done.
    case connect(server: Int, due: Moment)
    /// The network goes.
    case cut
    case close
    case request(FanRequest, due: Moment)
    case finish(FanOutcome)
}

/// How it ended for a fan.
package enum FanOutcome: String, Sendable, CaseIterable {
    case bought, cancelled, abandoned, soldOut = "sold out", gaveUp = "gave up", refused, loggedOut = "logged out"
    case unsettled = "payment not answered"
    case botDone = "bot done"
    /// The second tab, of somebody who is counted by their first.
    case lookedOn = "looked on"
}

/// An acknowledgement or the body of an HTTP answer; what is not in it is nil.
package struct FanAnswer: Decodable, Sendable {
    package struct Order: Decodable, Sendable {
        package var status: String?
    }
    package struct Change: Decodable, Sendable {
        package let seq: Int64
        package let type: String
        package let seatIds: [String]
    }

    package var ok: Bool?
    package var code: String?
    package var status: String?
    package var position: Int?
    package var ahead: Int?
    package var totalWaiting: Int?
    package var expiresAt: ServerTime?
    package var selectedSeats: [String]?
    package var unavailable: [String]?
    package var fence: Fence?
    package var seq: Int64?
    package var reservationId: ReservationID?
    package var success: Bool?
    package var reservation: Order?
    package var retryAfterSeconds: Int?
    package var reset: Bool?
    package var changes: [Change]?
    /// HTTP only; not in the body.
    package var httpStatus: Int?

    private enum CodingKeys: String, CodingKey {
        case ok, code, position, ahead, totalWaiting, expiresAt, selectedSeats, unavailable, fence, seq, reservationId
        case success, reservation, retryAfterSeconds, reset, changes, status
    }

    package init() {}

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.ok = try values.decodeIfPresent(Bool.self, forKey: .ok)
        self.code = try values.decodeIfPresent(String.self, forKey: .code)
        // A problem's status is a number, which HTTP has said already.
        self.status = try? values.decodeIfPresent(String.self, forKey: .status)
        self.position = try values.decodeIfPresent(Int.self, forKey: .position)
        self.ahead = try values.decodeIfPresent(Int.self, forKey: .ahead)
        self.totalWaiting = try values.decodeIfPresent(Int.self, forKey: .totalWaiting)
        self.expiresAt = try values.decodeIfPresent(ServerTime.self, forKey: .expiresAt)
        self.selectedSeats = try values.decodeIfPresent([String].self, forKey: .selectedSeats)
        self.unavailable = try values.decodeIfPresent([String].self, forKey: .unavailable)
        self.fence = try values.decodeIfPresent(Fence.self, forKey: .fence)
        self.seq = try values.decodeIfPresent(Int64.self, forKey: .seq)
        self.reservationId = try values.decodeIfPresent(ReservationID.self, forKey: .reservationId)
        self.success = try values.decodeIfPresent(Bool.self, forKey: .success)
        self.reservation = try values.decodeIfPresent(Order.self, forKey: .reservation)
        self.retryAfterSeconds = try values.decodeIfPresent(Int.self, forKey: .retryAfterSeconds)
        self.reset = try values.decodeIfPresent(Bool.self, forKey: .reset)
        self.changes = try values.decodeIfPresent([Change].self, forKey: .changes)
    }

    /// Whether what was asked for was done.
    package var isDone: Bool { self.httpStatus.map { $0 < 300 } ?? (self.ok == true) }
}
