import HoldfastCore
import Seating
import SocketIO
import Testing

@testable import Gateway

@Suite struct SelectionChangeTests {
    private static let event = "0b6d5a1e-7a7b-4b52-9f0e-6a7d3a1c2e4f"

    @Test(
        "What is read quickly is what Codable reads",
        arguments: [
            #"{"eventId":"EVENT","seats":["A-1-1"]}"#, #"{"eventId":"EVENT","seats":[]}"#, #"{"eventId":"EVENT"}"#,
            #"{"seats":["Säule-1-1","B-2-2"],"eventId":"EVENT","requestId":"r-1"}"#,
        ]
    )
    func quick(_ text: String) throws {
        let json = RawJSON(trusted: text.replacing("EVENT", with: Self.event))
        let quick = SelectionChange(quickly: json)
        #expect(quick != nil)
        let slow: SelectionChange = try json.decode()
        #expect(quick == slow)
    }

    @Test(
        "What is not of the plainest form is left to Codable, which says what is wrong",
        arguments: [
            "{}", "[]", "1", #""x""#, #"{"eventId":"EVENT","seats":null}"#, #"{"eventId":"EVENT", "seats":[]}"#,
            #"{"eventId":"EVENT","seats":["A-\u0031-1"]}"#, #"{"eventId":"EVENT","eventId":"EVENT"}"#,
            #"{"eventId":"EVENT","seats":["A-1-1"],"seats":[]}"#, #"{"eventId":"EVENT","seats":[1]}"#,
            #"{"eventId":"EVENT","seats":["A"]}"#, #"{"eventId":"x","seats":[]}"#, #"{"eventId":"EVENT","more":"x"}"#,
            #"{"eventId":"EVENT","alternatives":true}"#, #"{"eventId":"EVENT","generalAdmission":{"Floor":1}}"#,
        ]
    )
    func rest(_ text: String) {
        let json = RawJSON(trusted: text.replacing("EVENT", with: Self.event))
        #expect(SelectionChange(quickly: json) == nil)
    }
}
