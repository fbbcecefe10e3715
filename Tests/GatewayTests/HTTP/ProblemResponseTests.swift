import HTTPTypes
import HoldfastCore
import Hummingbird
import Logging
import NIOCore
import Postgres
import Redis
import Testing

@testable import Gateway

@Suite struct ProblemResponseTests {
    private struct Secretive: Error, CustomStringConvertible {
        let description = "password=hunter2 SELECT * FROM users"
    }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func problem(_ error: any Error) -> Problem { Problem(describing: error, logger: Self.logger) }

    @Test("A store that is away is 503 with a moment to come back")
    func away() {
        let errors: [any Error] = [
            RedisError(.timeout, "no answer"),
            PostgresError(.connection, "lost"),
            PostgresError(.acquireTimeout, "no connection within 2 s"),
            PostgresError(.poolExhausted, "256 wait"),
            CancellationError(),
        ]
        for error in errors {
            let response = problem(error).response()
            #expect(response.status == .serviceUnavailable)
            #expect(response.headers[.retryAfter] == "2")
        }
    }

    @Test("What we did wrong is 500 and says nothing of what it was")
    func ours() {
        let errors: [any Error] = [
            Secretive(),
            PostgresError(.server(sqlState: "42P01"), "query: refused", sqlState: "42P01", statement: "SELECT secret"),
            PostgresError(.decoding, "column 2 of a row of users"),
        ]
        for error in errors {
            let problem = problem(error)
            #expect(problem.code == .internalError)
            for word in ["hunter2", "SELECT", "users", "secret", "42P01"] { #expect(!problem.detail.contains(word)) }
        }
    }

    @Test("A body over its bound is 413, an unknown address 404")
    func http() {
        #expect(problem(NIOTooManyBytesError(maxBytes: 1)).code == .payloadTooLarge)
        #expect(problem(HTTPError(.notFound)).code == .notFound)
        #expect(problem(HTTPError(.methodNotAllowed)).code == .methodNotAllowed)
        #expect(problem(HTTPError(.contentTooLarge)).code == .payloadTooLarge)
        #expect(problem(HTTPError(.badRequest)).code == .malformedRequest)
    }

    @Test("Every code leaves as problem+json with its own status", arguments: ProblemCode.allCases)
    func everyCode(_ code: ProblemCode) {
        let response = Problem(code, "Why.").response()
        #expect(response.status.code == code.status)
        #expect(response.headers[.contentType] == "application/problem+json")
        #expect((response.headers[.wwwAuthenticate] != nil) == (code.status == 401))
        if code.status == 503 { #expect(response.headers[.retryAfter] != nil) }
    }
}
