import Postgres
import TestSupport
import Testing

@Suite("A server that breaks", .enabled(if: TestPostgres.isConfigured), .serialized, .timeLimit(.minutes(20)))
struct ServerFaultsPostgresTests {
    @Test("A stopped server keeps no caller beyond its deadline, and everything works once it goes on")
    func paused() async throws {
        try await PrivatePostgres.with { server in
            var configuration = try PostgresConfiguration(url: server.url)
            configuration.poolSize = 2
            configuration.statementTimeout = .seconds(3)
            configuration.cancelGrace = .milliseconds(300)
            configuration.connectTimeout = .seconds(5)
            configuration.acquireTimeout = .seconds(3)
            try await TestPostgres.withClient(configuration) { client in
                _ = try await client.query("SELECT 1")
                try server.pause()
                // The server stands still until both have their answer.
                let error = await #expect(throws: PostgresError.self) { try await client.query("SELECT 1") }
                #expect(error?.code == .statementTimeout)
                #expect(error?.mayHaveRun == true)
                let later = await #expect(throws: PostgresError.self) { try await client.query("SELECT 1") }
                #expect(later?.code == .acquireTimeout)
                #expect(later?.mayHaveRun == false)
                try server.resume()
                try await untilAnswered(client)
            }
        }
    }

    @Test("After the server was killed and started again the same client goes on")
    func killed() async throws {
        try await PrivatePostgres.with { server in
            var configuration = try PostgresConfiguration(url: server.url)
            configuration.acquireTimeout = .seconds(3)
            try await TestPostgres.withClient(configuration) { client in
                // Several connections, all of which will be stale.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 { group.addTask { _ = try await client.query("SELECT pg_sleep(0.05)") } }
                    try await group.waitForAll()
                }
                try server.kill()
                let error = await #expect(throws: PostgresError.self) { try await client.query("SELECT 1") }
                #expect(error?.isRetryable == true)
                try await server.restart()
                try await untilAnswered(client)
            }
        }
    }

    /// Each try waits for a connection itself, so this does not spin.
    private func untilAnswered(_ client: PostgresClient) async throws {
        for _ in 0..<20 {
            let answer = try? await client.query("SELECT 1")
            if answer?.count == 1 { return }
        }
        Issue.record("The server came back and the client did not.")
    }
}
