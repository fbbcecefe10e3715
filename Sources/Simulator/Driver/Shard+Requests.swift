import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import SocketIO
import SocketIOClient

// What fans ask for, over the socket or by HTTP, and the answers.

extension Shard {
    /// One request on its way.
    private struct Sent: Sendable {
        let index: Int
        let number: Int
        let request: FanRequest
        let due: Moment
        let at: Moment
    }

    private struct Wire {
        let event: String
        let payload: RawJSON
    }

    func send(_ index: Int, _ request: FanRequest, _ due: Moment) {
        self.fans[index].request += 1
        self.tally.requests += 1
        let (user, now) = (self.fans[index].user, self.now)
        let sent = Sent(index: index, number: self.fans[index].request, request: request, due: due, at: now)
        self.referee.with { $0.sent(request, user, now: now) }
        if request.isHTTP { self.sendHTTP(sent) } else { self.emit(sent) }
    }

    // MARK: Socket.IO

    private func emit(_ sent: Sent) {
        let wire = self.wire(sent.request)
        guard let client = self.fans[sent.index].client else { return self.unanswered(sent) }
        client.emit(wire.event, [wire.payload], timeout: .init(self.plan.patience)) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let arguments):
                let answer = arguments.first.flatMap { try? JSONDecoder().decode(FanAnswer.self, from: $0.bytes) }
                if let answer { self.answered(sent, answer) } else { self.unreadable(sent) }
            case .failure: self.unanswered(sent)
            }
        }
    }

    private func wire(_ request: FanRequest) -> Wire {
        let event = self.venue.eventID
        switch request {
        case .joinEvent: return Wire(event: "join-event", payload: self.reference)
        case .joinQueue: return Wire(event: "join-queue", payload: self.reference)
        case .enter: return Wire(event: "join-seat-selection", payload: self.reference)
        case .extend: return Wire(event: "hold-extend", payload: self.reference)
        case .leaveQueue: return Wire(event: "leave-queue", payload: self.reference)
        case .select(let seats):
            let payload = RawJSON(trusted: #"{"eventId":"\#(event)","seats":\#(self.json(seats))}"#)
            return Wire(event: "seat-selection-changed", payload: payload)
        case .bestAvailable(let quantity):
            let payload = RawJSON(trusted: #"{"eventId":"\#(event)","quantity":\#(quantity)}"#)
            return Wire(event: "best-available", payload: payload)
        case .stand(let area, let count):
            let places = #"{"\#(self.venue.areas[area])":\#(count)}"#
            let payload = RawJSON(trusted: #"{"eventId":"\#(event)","seats":[],"generalAdmission":\#(places)}"#)
            return Wire(event: "seat-selection-changed", payload: payload)
        case .nonsense(let number):
            let (name, payload) = Nonsense.all[number]
            return Wire(event: name, payload: RawJSON(trusted: payload.replacingOccurrences(of: "EVENT", with: event)))
        case .checkQueue, .look, .reserve, .pay, .cancel:
            // These go by HTTP.
            return Wire(event: "latency", payload: .emptyObject)
        }
    }

    private func json(_ seats: [Int32]) -> String {
        let data = try? JSONEncoder().encode(self.venue.names(seats))
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "[]"
    }

    // MARK: HTTP

    private func sendHTTP(_ sent: Sent) {
        let fan = self.fans[sent.index]
        let (method, path, body, key) = self.call(sent.request)
        let server = self.plan.servers[fan.state.server % self.plan.servers.count]
        self.http.call(method, server, path, token: fan.token, body: body, key: key) { [weak self] answer in
            guard let self else { return }
            guard let answer else { return self.unanswered(sent) }
            if sent.request == .look, answer.status == 200 { return self.saw(sent, answer.body) }
            // Retry-After is in the body too; an answer of a proxy has none, and is tried again like silence.
            guard var read = try? JSONDecoder().decode(FanAnswer.self, from: answer.body) else {
                return self.unreadable(sent)
            }
            read.httpStatus = answer.status
            self.answered(sent, read)
        }
    }

    private func call(_ request: FanRequest) -> (method: HTTPMethod, path: String, body: String?, key: String?) {
        let event = self.venue.eventID
        switch request {
        case .look: return (.GET, "/api/events/\(event)/seats?format=compact", nil, nil)
        case .reserve(let seats, let key):
            let body = #"{"eventId":"\#(event)","seatIds":\#(self.json(seats))}"#
            return (.POST, "/api/reservations", body, "\(self.plan.run)-\(String(key, radix: 16))")
        case .pay(let id, let method):
            return (.POST, "/api/payments/process", #"{"reservationId":"\#(id)","paymentMethod":"\#(method)"}"#, nil)
        case .cancel(let id): return (.POST, "/api/reservations/\(id)/cancel", nil, nil)
        default: return (.POST, "/api/queue/check/\(event)", nil, nil)
        }
    }

    private func saw(_ sent: Sent, _ body: ByteBuffer) {
        struct Map: Decodable { let statuses: String }
        guard let map = try? JSONDecoder().decode(Map.self, from: body) else { return self.unreadable(sent) }
        self.measure(sent)
        guard self.fans[sent.index].request == sent.number else { return }
        self.happened(sent.index, .seatMap(Array(map.statuses.utf8)))
    }

    // MARK: Answers

    private func measure(_ sent: Sent) {
        let time = self.now - sent.due
        if sent.request.isHTTP { self.tally.record(.http, time) }
        switch sent.request {
        case .joinQueue, .checkQueue: self.tally.record(.join, time)
        case .enter: self.tally.record(.enter, time)
        case .look: self.tally.record(.seatMap, time)
        case .select, .bestAvailable, .stand: self.tally.record(.select, time)
        case .reserve: self.tally.record(.reserve, time)
        // The slow payment takes three seconds by its nature.
        case .pay(_, let method) where method != "sandbox-slow": self.tally.record(.pay, time)
        case .joinEvent, .extend, .pay, .cancel, .leaveQueue, .nonsense: break
        }
    }

    private func answered(_ sent: Sent, _ answer: FanAnswer) {
        self.measure(sent)
        if !answer.isDone, let code = answer.code { self.tally.refused("\(code) at \(sent.request.name)") }
        let (fan, user, now) = (self.fans[sent.index].number, self.fans[sent.index].user, self.now)
        let lag = self.referee.with { $0.answered(sent.request, answer, fan, user, sentAt: sent.at, now: now) }
        if let lag { self.tally.record(.positionLag, lag) }
        if sent.request == .enter, answer.isDone, let seq = answer.seq { self.fans[sent.index].follower.join(at: seq) }
        guard self.fans[sent.index].request == sent.number else { return }
        self.happened(sent.index, .answered(answer))
    }

    private func unreadable(_ sent: Sent) {
        self.tally.refused("UNREADABLE_ANSWER")
        self.unanswered(sent)
    }

    private func unanswered(_ sent: Sent) {
        self.tally.unanswered += 1
        guard self.fans[sent.index].request == sent.number else { return }
        self.happened(sent.index, .unanswered)
    }
}
