import Foundation
import HoldfastCore
import NIOCore
import NIOHTTP1
import Testing

@testable import EngineIOServer

/// What the connection answers before any route is known must be of the same table as what routes answer.
@Suite struct ConnectionProblemTests {
    private struct Body: Decodable {
        let title: String
        let status: Int
        let code: String
        let detail: String
        let nextStep: String
    }

    @Test(
        "A refusal of the connection has the code, title and next step of the table",
        arguments: [
            (.requestTimeout, .requestTimeout), (.requestHeaderFieldsTooLarge, .headTooLarge),
            (.badRequest, .malformedRequest),
        ] as [(HTTPResponseStatus, ProblemCode)]
    )
    func same(_ status: HTTPResponseStatus, _ code: ProblemCode) throws {
        let answer = HTTPAnswer.problem(status)
        let body = try JSONDecoder().decode(Body.self, from: Data(answer.body.readableBytesView))
        #expect(body.code == code.rawValue)
        #expect(body.title == code.title)
        #expect(body.status == code.status && Int(answer.status.code) == code.status)
        #expect(body.nextStep == code.nextStep)
        #expect(!body.detail.isEmpty)
    }
}
