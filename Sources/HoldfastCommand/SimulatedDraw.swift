import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Simulator
import SocketIOClient
import WaitingRoom

/// The draw of a lobby, checked as its people could: what is published after it against what was noted before.
struct SimulatedDraw: Sendable {
    /// How many of the people look for their own place; each look draws the whole roster again.
    private static let proofs = 50

    private struct Answer: Decodable {
        let commitment: String
        let proof: DrawProof?
    }

    private let plan: SimulationPlan
    private let tokens: [String]
    private let commitment: String

    /// Notes the commitment; nil if the event has no lobby.
    init?(_ plan: SimulationPlan, _ tokens: [String]) async throws {
        guard let token = tokens.first else { return nil }
        (self.plan, self.tokens) = (plan, tokens)
        let own = try await Self.client(plan) { client in
            try await Self.get(Answer.self, "/api/queue/draw/\(plan.eventID)", plan, token, client)
        }
        guard let own else { return nil }
        commitment = own.commitment
    }

    /// What does not hold, in words.
    func findings() async -> [String] {
        do {
            return try await Self.client(plan) { try await findings($0) }
        } catch {
            return ["not checked: \(error)"]
        }
    }

    private func findings(_ client: HTTPClient) async throws -> [String] {
        let (event, first) = (plan.eventID, tokens[0])
        guard
            let draw = try await Self.get(PublishedDraw.self, "/api/queue/draw/\(event)/roster", plan, first, client)
        else { return ["the draw is not published any more"] }
        var failures = Set(draw.findings(noted: commitment).filter { !$0.holds }.map(\.text))
        for index in stride(from: 0, to: tokens.count, by: max(1, tokens.count / Self.proofs)) {
            let own = try await Self.get(Answer.self, "/api/queue/draw/\(event)", plan, tokens[index], client)
            // Who came after the opening was not drawn.
            guard let proof = own?.proof else { continue }
            failures.formUnion(draw.findings(proof: proof).filter { !$0.holds }.map(\.text))
        }
        return failures.sorted().map { "not so: \($0)" }
    }

    private static func client<Result: Sendable>(
        _ plan: SimulationPlan,
        _ body: (HTTPClient) async throws -> Result
    ) async throws -> Result {
        // This is the first that the service is asked: who gave a wrong address should not wait.
        var settings = plan.http
        settings.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(configuration: settings)
        do {
            let result = try await body(client)
            try await client.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    private static func get<Value: Decodable>(
        _ type: Value.Type,
        _ path: String,
        _ plan: SimulationPlan,
        _ token: String,
        _ client: HTTPClient
    ) async throws -> Value? {
        let response: HTTPClient.Response
        do {
            let request = try plan.servers[0].request(.GET, path, token: token)
            response = try await client.execute(request: request, deadline: .now() + .seconds(60)).get()
        } catch {
            throw CommandFailure("the service does not answer (\(error)); start it or correct --url")
        }
        guard response.status == .ok else { return nil }
        return try JSONDecoder().decode(type, from: Data((response.body ?? ByteBuffer()).readableBytesView))
    }
}
