/// What no client of ours would send. Each must be refused, and none may cost the sender the connection.
package enum Nonsense {
    package static let all: [(event: String, payload: String)] = [
        ("join-queue", "{}"),
        ("join-queue", #"{"eventId":7}"#),
        ("join-event", #"{"eventId":"no-event"}"#),
        ("join-seat-selection", #"{"eventId":"00000000-0000-0000-0000-000000000000"}"#),
        ("seat-selection-changed", #"{"eventId":"EVENT","seats":"A-1-1"}"#),
        ("seat-selection-changed", #"{"eventId":"EVENT","seats":["NO-9999-9999"]}"#),
        ("seat-selection-changed", #"{"eventId":"EVENT","seats":[null]}"#),
        ("best-available", #"{"eventId":"EVENT","quantity":-1}"#),
        ("best-available", #"{"eventId":"EVENT","quantity":1e400}"#),
        ("hold-extend", "[]"),
        ("sync", #"{"eventId":"EVENT","seq":"x"}"#),
        ("authenticate", #"{"token":"forged"}"#),
        ("no-such-event", "{}"),
    ]
}
