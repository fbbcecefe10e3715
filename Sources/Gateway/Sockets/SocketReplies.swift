import Foundation
import HoldfastCore
import Logging
import Seating
import SocketIO

/// A refusal as an acknowledgement: `{"ok":false,"code","detail","nextStep",…}`.
struct RefusalPayload: Encodable, Sendable {
    let ok = false
    let code: String
    let detail: String
    let nextStep: String
    let limit: Int?
    let errors: [Problem.FieldError]?
    let unavailable: [SeatID]?
    let selectedSeats: [SeatID]?
    let expiresAt: ServerTime?
    let retryAfterSeconds: Int?

    init(_ refusal: SelectionRefusal) {
        let problem = refusal.problem
        code = problem.code.rawValue
        detail = problem.detail
        nextStep = problem.code.nextStep
        limit = problem.limit
        errors = problem.errors.isEmpty ? nil : problem.errors
        unavailable = problem.unavailable.isEmpty ? nil : problem.unavailable
        selectedSeats = refusal.selection?.seats
        expiresAt = refusal.selection?.expiresAt
        retryAfterSeconds = problem.retryAfterSeconds
    }
}

struct OkPayload: Encodable, Sendable {
    let ok = true
}

extension Namespace {
    /// Registers a handler whose answer is the acknowledgement and whose refusals reach the person.
    ///
    /// The payload is the event's first argument; none counts as `{}`. Who asked for no acknowledgement gets refusals
    /// as an `error` event.
    func answer<Payload: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ event: String,
        _ type: Payload.Type = Payload.self,
        logger: Logger,
        with body: @escaping @Sendable (Socket, Payload) async throws -> Answer
    ) {
        on(event) { (socket: Socket, event: SocketEvent) async in
            do {
                let payload: Payload
                do {
                    payload = try event.payload(type)
                } catch {
                    throw Problem(decoding: error)
                }
                event.ack(try await body(socket, payload))
            } catch {
                socket.refuse(event, error, logger: logger)
            }
        }
    }
}

extension SocketEvent {
    fileprivate func payload<Payload: Decodable>(_ type: Payload.Type) throws -> Payload {
        guard count > 0 else { return try JSONDecoder().decode(type, from: Data("{}".utf8)) }
        let json = self[0]
        if let quick = type as? any QuicklyDecodable.Type, let payload = quick.init(quickly: json) as? Payload {
            return payload
        }
        return try json.decode(type)
    }
}

extension Socket {
    func refuse(_ event: SocketEvent, _ error: any Error, logger: Logger) {
        let refusal =
            (error as? SelectionRefusal)
            ?? SelectionRefusal(problem: Problem(describing: error, logger: logger), selection: nil)
        RefusalMetrics.shared.refused(refusal.problem.code)
        if event.wantsAck {
            event.ack(RefusalPayload(refusal))
        } else {
            emit("error", RefusalPayload(refusal))
        }
    }
}
