import AsyncHTTPClient
import Foundation
import HoldfastCore
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import SocketIOClient

/// What is asked before and after a play, over HTTP.
struct BoxOffice {
    let client: HTTPClient
    let plan: SimulationPlan
    let token: String

    private struct EventDetail: Decodable {
        struct Sale: Decodable {
            let maxSeatsPerUser: Int
            let holdSeconds: Int
        }
        struct Queue: Decodable {
            let enabled: Bool
            let mode: String
        }
        struct Area: Decodable {
            let name: String
            let capacity: Int
        }
        let status: String
        let sale: Sale
        let queue: Queue
        let generalAdmission: [Area]?
    }
    private struct Layout: Decodable {
        struct Seat: Decodable {
            let id: String
            let section: String
            let row: Int
        }
        let seats: [Seat]
    }
    private struct Map: Decodable {
        let seq: Int64
        let statuses: String
    }
    private struct Order: Decodable {
        struct Seat: Decodable { let id: String }
        let status: String
        let seats: [Seat]
    }

    private func get<T: Decodable>(_ type: T.Type, _ path: String, _ server: ServerAddress) async throws -> T? {
        let request = try server.request(.GET, path, token: self.token)
        let response: HTTPClient.Response
        do {
            response = try await self.client.execute(request: request, deadline: .now() + .seconds(60)).get()
        } catch {
            throw SimulationError("\(server.url("")) does not answer (\(error)); start it or correct --url")
        }
        switch response.status.code {
        case 200: return try JSONDecoder().decode(type, from: response.body ?? ByteBuffer())
        case 404: return nil
        default: throw SimulationError("\(server.url(path)) answered status \(response.status.code)")
        }
    }

    func venue() async throws -> Venue {
        let path = "/api/events/\(self.plan.eventID)"
        guard let event = try await self.get(EventDetail.self, path, self.plan.servers[0]) else {
            throw SimulationError("there is no event \(self.plan.eventID); 'holdfast event list' shows what there is")
        }
        let isLobby = event.queue.enabled && event.queue.mode == "lobby"
        // People come to a lobby before the sale opens.
        guard event.status == "open" || (isLobby && event.status == "scheduled") else {
            throw SimulationError(
                "the event is \(event.status); open it with 'holdfast event open \(self.plan.eventID)'"
            )
        }
        for server in self.plan.servers.dropFirst() { _ = try await self.get(EventDetail.self, path, server) }
        guard let layout = try await self.get(Layout.self, path + "/layout", self.plan.servers[0]) else {
            throw SimulationError("the event has no layout")
        }
        return Venue(
            eventID: self.plan.eventID,
            seats: layout.seats.map { ($0.id, "\($0.section)-\($0.row)") },
            maxSeatsPerUser: event.sale.maxSeatsPerUser,
            hold: .seconds(event.sale.holdSeconds),
            hasQueue: event.queue.enabled,
            isLobby: isLobby,
            standing: (event.generalAdmission ?? []).map { ($0.name, $0.capacity) }
        )
    }

    func seatMap() async throws -> (statuses: [UInt8], seq: Int64) {
        let path = "/api/events/\(self.plan.eventID)/seats?format=compact"
        guard let map = try await self.get(Map.self, path, self.plan.servers[0]) else {
            throw SimulationError("the event has no seat map")
        }
        return (Array(map.statuses.utf8), map.seq)
    }

    /// Looks for every order that was answered, on the instances in turn.
    func findOrders(_ referee: Referee, _ tokens: [String], _ startedAt: NIODeadline) async throws {
        let orders = referee.with { $0.book.orders.values.sorted { $0.answeredAt < $1.answeredAt } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, order) in orders.enumerated() {
                // At most this many at a time.
                if index >= 32 { try await group.next() }
                let server = self.plan.servers[index % self.plan.servers.count]
                group.addTask {
                    let own = BoxOffice(client: self.client, plan: self.plan, token: tokens[order.user])
                    let outcome = await own.find(order.id, server)
                    let now = Moment(nanoseconds: (NIODeadline.now() - startedAt).nanoseconds)
                    referee.with { checks in
                        switch outcome {
                        case .success(let found):
                            let state = found.map {
                                OrderBook.Found(status: $0.status, seats: checks.venue.places($0.seats.map(\.id)))
                            }
                            if let breach = checks.book.judge(order, state, at: now) { checks.breach(breach) }
                        case .failure(let error):
                            let words = "\(order.id) could not be asked for: \(error)"
                            checks.breach(Breach(.reservationLost, fans: [order.user], at: now, words))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// A service that has just been busy gets a few seconds to answer.
    private func find(_ id: ReservationID, _ server: ServerAddress) async -> Result<Order?, any Error> {
        var attempt = 1
        while true {
            do {
                return .success(try await self.get(Order.self, "/api/reservations/\(id)", server))
            } catch {
                if attempt == 5 { return .failure(error) }
                attempt += 1
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}
