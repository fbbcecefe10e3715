"""Socket.IO protocol 5, "Sending and receiving data", "Acknowledgement", binary; the fixture's handlers."""

import json
import os

import pytest
from engine_client import TRANSPORTS, Polling
from socketio_client import ACK, BINARY_ACK, BINARY_EVENT, EVENT, Client, client

# Heartbeats of 25 s: one thread reads several clients in turn, and none may be taken for gone meanwhile.
PROFILE = "bench"
ALL_TRANSPORTS = pytest.mark.parametrize("transport", TRANSPORTS)

VALUES = {
    "one": "1", "minus": "-1", "zero": "0", "true": "true", "false": "false", "null": "null", "fraction": "0.1",
    "largest exact": "9007199254740991", "string of digits": '"1"', "string of true": '"true"', "empty string": '""',
    "empty array": "[]", "empty object": "{}", "nested": '{"a":[{"b":[[],{},null,true,1,"x"]}]}',
    "unicode": '"é€😀좌석"', "quotes": r'"\"\\/"', "newline": r'"a\nb\tc\r"', "key order": '{"z":1,"a":2,"m":3}',
    "empty key": '{"":1}', "placeholder-like": '{"_placeholder":true,"num":0}', "booleans": "[true,1,false,0]",
    "keys of digits": '{"1":"a","0":"b"}', "slash": '"a/b"', "commas": '",,,"', "proto": '{"__proto__":{"a":1}}',
    "separator": r'"\u001e"', "long": json.dumps("x" * 5000), "mixed": '[1,1.5,"1",true,null,{"a":1}]',
}


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_as_the_text_that_went(server, text):
    joined = client(server)
    joined.send(f'2["message",{text}]')
    returned = joined.packet()
    assert returned.type == EVENT
    if text.isascii() and "\\" not in text:
        assert returned.text == f'["message-back",{text}]'
    assert repr(returned.data[1]) == repr(json.loads(text))
    joined.send(f'27["message-with-ack",{text}]')
    returned = joined.packet()
    assert (returned.type, returned.id) == (ACK, 7)
    assert repr(returned.data[0]) == repr(json.loads(text))


@pytest.mark.parametrize("number", ["1.0", "1e3", "1E-2", "-0", "12345678901234567890", "1.5e300", "0.30000000000000004"])
def test_a_number_keeps_its_value(server, number):
    joined = client(server)
    joined.send(f'2["message",{number}]')
    assert float(joined.next_event()[1]) == float(number)


def test_a_big_integer_is_not_rounded(server):
    """JavaScript would round it; a server in between need not."""
    joined = client(server)
    joined.send('2["message",9007199254740993]')
    assert joined.next_event() == ["message-back", 9007199254740993]


@pytest.mark.parametrize("escaped", [r'"\u00e9"', r'"\ud83d\ude00"', r'"\/"', r'"\u0041"', r'"\u0000"', r'"\u2028"'])
def test_an_escaped_letter_keeps_its_meaning(server, escaped):
    joined = client(server)
    joined.send(f'2["message",{escaped}]')
    assert joined.next_event() == ["message-back", json.loads(escaped)]


def test_a_lone_surrogate_does_not_kill_the_server(server):
    joined = client(server)
    joined.send(r'2["message","\ud800"]')
    try:
        joined.packet()
    except Exception:  # noqa: BLE001 - to end the connection is an answer as well
        pass
    assert client(server).is_alive()


@pytest.mark.parametrize("text", ['2["message", 1 ]', '2[ "message" ,{ "a" : [ 1 , 2 ] } ]', '2["message",\n1]'])
def test_white_space_in_json_is_allowed(server, text):
    joined = client(server)
    joined.send(text)
    assert joined.next_event()[0] == "message-back"


@ALL_TRANSPORTS
@pytest.mark.parametrize("arguments", [[], [1], [1, "2", {"3": [True]}], [None], [[]], list(range(50))], ids=str)
def test_any_number_of_arguments_is_passed_on(server, transport, arguments):
    joined = client(server, transport)
    joined.emit("message", *arguments)
    assert joined.next_event() == ["message-back", *arguments]
    assert joined.call("message-with-ack", *arguments) == arguments


@ALL_TRANSPORTS
def test_events_keep_their_order(server, transport):
    joined = client(server, transport)
    for number in range(0, 50, 10):
        joined.send(*(f'2["message",{number + index}]' for index in range(10)))
        assert [joined.next_event()[1] for _ in range(10)] == list(range(number, number + 10))


def test_many_packets_in_one_payload_are_handled_in_order(server):
    joined = client(server, "polling")
    joined.send(*(f'2["message",{number}]' for number in range(100)))
    assert [joined.next_event()[1] for _ in range(100)] == list(range(100))


@ALL_TRANSPORTS
@pytest.mark.parametrize("count", [0, 1, 16, 17, 500])
def test_burst_comes_whole_and_in_order(server, transport, count):
    joined = client(server, transport)
    joined.emit("burst", count)
    joined.emit("message", "end")
    assert [joined.next_event() for _ in range(count)] == [["burst-item", number] for number in range(count)]
    assert joined.next_event() == ["message-back", "end"]


def test_a_poll_of_a_burst_holds_at_most_16_packets(server):
    joined = client(server, "polling")
    joined.emit("burst", 100)
    received = []
    while len(received) < 100:
        packets = [packet for packet in joined.session.packets() if packet != "2"]
        assert len(packets) <= 16
        received += packets
    assert received == [f'42["burst-item",{number}]' for number in range(100)]


@pytest.mark.parametrize("event", ["unknown", "", "auth", "message-back", "error", "Message", "é", "a b", "constructor",
                                   "toString", "__proto__", "disconnected"])
def test_anything_else_is_ignored(server, event):
    joined = client(server)
    joined.emit(event, 1)
    joined.emit("message", "after")
    assert joined.next_event() == ["message-back", "after"]


@pytest.mark.parametrize("text", ["2[1]", '2[1,"x"]', '2[0,{"a":1}]', "2[1.5]", '251-[1,{"_placeholder":true,"num":0}]'])
def test_a_number_as_a_name_is_allowed(server, text):
    joined = client(server)
    joined.send(text.replace("251-", "51-"), *([b"x"] if "placeholder" in text else []))
    joined.emit("message", "after")
    assert joined.next_event() == ["message-back", "after"]


def test_unknown_events_with_an_ack_are_not_answered(server):
    joined = client(server)
    joined.send('21["unknown"]', '22["message-with-ack"]')
    assert joined.packet().id == 2


# Acknowledgements


@ALL_TRANSPORTS
@pytest.mark.parametrize("id", [0, 1, 9, 10, 456, 2**31, 2**32, 2**53 - 1])
def test_an_ack_has_the_id_of_its_event(server, transport, id):
    joined = client(server, transport)
    joined.send(f'2{id}["message-with-ack",1,"2",{{"3":[false]}}]')
    assert joined.session.receive() == f'3{id}[1,"2",{{"3":[false]}}]'


@pytest.mark.parametrize("namespace", ["/custom", "/dynamic-9"])
def test_an_ack_names_its_namespace(server, namespace):
    joined = client(server, namespace=namespace)
    joined.send(f'2{namespace},12["message-with-ack","x"]')
    assert joined.session.receive() == f'3{namespace},12["x"]'


def test_an_ack_without_arguments_is_an_empty_array(server):
    joined = client(server)
    joined.send('21["message-with-ack"]', '22["join","room"]')
    assert joined.session.receive() == "31[]"
    assert joined.session.receive() == "32[]"


def test_message_without_an_ack_id_is_answered_with_nothing_by_message_with_ack(server):
    joined = client(server)
    joined.emit("message-with-ack", 1)
    joined.emit("message", "after")
    assert joined.next_event() == ["message-back", "after"]


def test_acks_of_many_events_at_once(server):
    joined = client(server)
    joined.send(*(f'2{id}["message-with-ack",{id}]' for id in range(100)))
    assert [joined.session.receive() for _ in range(100)] == [f"3{id}[{id}]" for id in range(100)]


@ALL_TRANSPORTS
@pytest.mark.parametrize("arguments", [[], [1], ["a", {"b": [True]}], [None, None]], ids=str)
@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_the_server_asks_and_is_answered(server, transport, arguments, namespace):
    joined = client(server, transport, namespace)
    joined.emit("ask-me", *arguments, namespace=namespace)
    question = joined.packet()
    assert question.namespace == namespace
    assert question.id is not None
    assert question.event == ["question", *arguments]
    name = "" if namespace == "/" else namespace + ","
    joined.send(f"3{name}{question.id}{json.dumps(arguments)}")
    assert joined.next_event(namespace) == ["answer", *arguments]


def test_questions_have_ids_of_their_own_and_answers_may_come_in_any_order(server):
    joined = client(server)
    ids = []
    for number in range(5):
        joined.emit("ask-me", number)
        ids.append(joined.packet().id)
    assert len(set(ids)) == 5
    for number in (3, 0, 4, 1, 2):
        joined.send(f"3{ids[number]}[{number}]")
        assert joined.next_event() == ["answer", number]


def test_a_second_answer_to_a_question_is_ignored(server):
    joined = client(server)
    joined.emit("ask-me")
    id = joined.packet().id
    joined.send(f"3{id}[1]", f"3{id}[2]", '2["message","after"]')
    assert joined.next_event() == ["answer", 1]
    assert joined.next_event() == ["message-back", "after"]


@pytest.mark.parametrize("id", ["999", "0123456", str(2**53 - 1)])
def test_an_answer_nobody_asked_for_is_ignored(server, id):
    joined = client(server)
    joined.send(f"3{id}[1]", '2["message","after"]')
    assert joined.next_event() == ["message-back", "after"]


def test_an_answer_may_carry_binary(server):
    joined = client(server)
    joined.emit("ask-me", b"q")
    question = joined.packet()
    assert question.event == ["question", b"q"]
    joined.send(f'61-{question.id}[{{"_placeholder":true,"num":0}},1]', b"answer")
    assert joined.next_event() == ["answer", b"answer", 1]


def test_questions_of_one_client_are_not_answered_by_another(server):
    first, second = client(server), client(server)
    first.emit("ask-me", 1)
    id = first.packet().id
    second.send(f"3{id}[2]")
    assert second.is_alive()
    first.send(f"3{id}[1]")
    assert first.next_event() == ["answer", 1]


# Binary


BINARY_ARGUMENTS = {
    "one": [b"\x01\x02\x03"], "two": [b"\x01\x02\x03", b"\x04\x05\x06"], "empty": [b""], "in an object": [{"a": {"b": b"x"}}],
    "in an array": [[b"x", [b"y"]]], "mixed": [1, b"x", "2", {"3": [True, b"y"]}], "ten": [bytes([n]) for n in range(10)],
    "large": [os.urandom(8_000)], "separators": [b"\x1e4x\x1e"], "between": ["before", b"x", "after"],
    "every byte": [bytes(range(256))],
}


@ALL_TRANSPORTS
@pytest.mark.parametrize("arguments", BINARY_ARGUMENTS.values(), ids=BINARY_ARGUMENTS)
def test_binary_is_passed_on(server, transport, arguments):
    joined = client(server, transport)
    joined.emit("message", *arguments)
    returned = joined.packet()
    assert returned.type == BINARY_EVENT
    assert returned.event == ["message-back", *arguments]
    joined.emit("message-with-ack", *arguments, id=5)
    returned = joined.packet()
    assert (returned.type, returned.id) == (BINARY_ACK, 5)
    assert returned.data == arguments


@pytest.mark.parametrize("namespace", ["", "/custom,"])
def test_the_text_of_binary_packets(server, namespace):
    joined = client(server, namespace="/custom" if namespace else "/")
    placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
    joined.send(f'52-{namespace}["message",{placeholders}]', b"\x01\x02\x03", b"\x04\x05\x06")
    assert joined.session.receive() == f'52-{namespace}["message-back",{placeholders}]'
    assert [joined.session.receive(), joined.session.receive()] == [b"\x01\x02\x03", b"\x04\x05\x06"]
    joined.send(f'52-{namespace}789["message-with-ack",{placeholders}]', b"\x01", b"\x02")
    assert joined.session.receive() == f"62-{namespace}789[{placeholders}]"
    assert [joined.session.receive(), joined.session.receive()] == [b"\x01", b"\x02"]


def test_placeholders_may_come_in_any_order(server):
    joined = client(server)
    joined.send('52-["message",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]', b"zero", b"one")
    assert joined.next_event() == ["message-back", b"one", b"zero"]


def test_keys_of_a_placeholder_may_come_in_any_order(server):
    joined = client(server)
    joined.send('51-["message",{"num":0,"_placeholder":true}]', b"zero")
    assert joined.next_event() == ["message-back", b"zero"]


def test_attachments_come_in_several_posts(server):
    joined = client(server, "polling")
    joined.send('52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    joined.send(b"one")
    joined.send(b"two")
    assert joined.next_event() == ["message-back", b"one", b"two"]


def test_a_heartbeat_between_attachments_does_no_harm(beating):
    joined = client(beating)
    raw = joined.session.websocket
    joined.send('52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"one")
    assert raw.message() == "2"
    raw.send("3")
    joined.send(b"two")
    assert joined.next_event() == ["message-back", b"one", b"two"]


def test_events_after_a_binary_event_keep_their_order(server):
    joined = client(server)
    for number in range(20):
        joined.emit("message", number, *([bytes([number])] if number % 2 else []))
    for number in range(20):
        assert joined.next_event() == ["message-back", number, *([bytes([number])] if number % 2 else [])]


def test_text_and_binary_of_two_clients_do_not_mix(server):
    first, second = client(server), client(server)
    first.send('51-["message",{"_placeholder":true,"num":0}]')
    second.emit("message", b"second")
    assert second.next_event() == ["message-back", b"second"]
    first.send(b"first")
    assert first.next_event() == ["message-back", b"first"]


def test_a_large_event_is_passed_on(server):
    joined = client(server)
    value = [{"id": number, "name": "seat " * 5} for number in range(2_000)]
    joined.emit("message", value)
    assert joined.next_event() == ["message-back", value]


def test_deep_json_within_reason_is_passed_on(server):
    joined = client(server)
    text = "[" * 100 + "]" * 100
    joined.send(f'2["message",{text}]')
    assert joined.packet().text == f'["message-back",{text}]'


def test_a_binary_event_over_polling_is_one_payload(server):
    joined = client(server, "polling")
    joined.emit("message", b"\x01\x02\x03\x04")
    packets = joined.session.packets()
    assert packets == ['451-["message-back",{"_placeholder":true,"num":0}]', "bAQIDBA=="]


def test_attachments_that_do_not_fit_into_one_poll_come_with_the_next(server):
    joined = client(server, "polling")
    for number in range(6):
        joined.emit("message", *(bytes([number, index]) for index in range(10)))
    for number in range(6):
        assert joined.next_event() == ["message-back", *(bytes([number, index]) for index in range(10))]


def test_the_handlers_are_the_same_in_a_namespace_with_its_own_middleware(server):
    joined = client(server, "polling", "/denied", {"token": "letmein"})
    assert isinstance(joined.session, Polling)
    joined.emit("message", b"x", namespace="/denied")
    assert joined.next_event("/denied") == ["message-back", b"x"]


def test_connections_are_many_and_independent(server):
    clients = [Client(server).connect() for _ in range(20)]
    for number, joined in enumerate(clients):
        joined.emit("message", number)
    for number, joined in enumerate(clients):
        assert joined.next_event() == ["message-back", number]
