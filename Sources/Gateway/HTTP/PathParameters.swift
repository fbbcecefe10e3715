import HoldfastCore
import Hummingbird

extension GatewayContext {
    /// The event id in the path. A malformed one names no event, so it is a 404 like an unknown one.
    func eventID(_ name: String = "eventId") throws(Problem) -> EventID {
        guard let id = parameters.get(name).flatMap({ EventID($0) }) else { throw .noSuchEvent }
        return id
    }

    func reservationID() throws(Problem) -> ReservationID {
        guard let id = parameters.get("id").flatMap({ ReservationID($0) }) else { throw .noSuchReservation }
        return id
    }
}

extension Problem {
    static let noSuchEvent = Problem(.eventNotFound, "There is no event with this id.")
    static let groupRequired = Problem(
        .groupRequired,
        "Your account is not in the group that may use this service."
    )
    static func tooManyAttempts(_ seconds: Int) -> Problem {
        let detail = "Too many attempts for this account or from this address. Please wait \(seconds) seconds."
        return Problem(.tooManyRequests, detail, retryAfterSeconds: seconds)
    }
    static let noSuchReservation = Problem(.reservationNotFound, "You have no reservation with this id.")
}

extension Request {
    /// The `limit` of a cursor page: 1 to 100, 50 if absent.
    func pageLimit() throws(Problem) -> Int {
        guard let text = uri.queryParameters["limit"] else { return 50 }
        guard let limit = Int(text), (1...100).contains(limit) else {
            throw .invalid(.init("limit", "must be from 1 to 100"))
        }
        return limit
    }

    var cursor: String? { uri.queryParameters["cursor"].map(String.init) }
}
