"""Any malformed Socket.IO packet ends the whole connection, not one namespace; so does what is sent out of turn."""

import pytest
from socketio_client import Client, client, observer

PLACEHOLDER = '{"_placeholder":true,"num":0}'

INVALID = {
    "unknown type": ["abc"], "type 7": ["7"], "type 9": ['9["message"]'], "nothing": [""], "a space": [' 2["message"]'],
    "event without a payload": ["2"], "event of an object": ["2{}"], "event of a string": ['2"message"'],
    "event of null": ["2null"], "event of a number with id": ["21"], "event of true": ["2true"], "event without a name": ["2[]"],
    "name is null": ["2[null]"], "name is true": ["2[true]"], "name is an object": ["2[{}]"], "name is an array": ["2[[]]"],
    "unfinished array": ['2["message"'], "unfinished string": ['2["message'], "unfinished object": ['2["message",{"a":1]'],
    "trailing comma": ['2["message",]'], "trailing text": ['2["message"]x'], "two arrays": ['2["message"]["message"]'],
    "single quotes": ["2['message']"], "bare word": ["2[message]"], "NaN": ['2["message",NaN]'], "hex": ['2["message",0x1]'],
    "leading zero": ['2["message",01]'], "plus": ['2["message",+1]'], "lone dot": ['2["message",1.]'], "comment": ['2["message"/**/]'],
    "bad escape": [r'2["message","\x"]'], "short escape": [r'2["message","\u12"]'], "raw newline": ['2["message","a\nb"]'],
    "raw control": ['2["message","\x01"]'], "bad literal": ['2["message",nul]'], "key without quotes": ['2["message",{a:1}]'],
    "no value": ['2["message",{"a"}]'], "invalid ack id": ['2abc["message-with-ack"]'], "negative ack id": ['2-1["message-with-ack"]'],
    "ack id with a dot": ['21.5["message-with-ack"]'], "ack of an object": ["31{}"], "ack without a payload": ["31"],
    "ack of a string": ['31"x"'], "binary event without a count": [f'5["message",{PLACEHOLDER}]'],
    "binary event without a dash": [f'51["message",{PLACEHOLDER}]'], "binary count of letters": [f'5x-["message",{PLACEHOLDER}]'],
    "negative count": [f'5-1-["message",{PLACEHOLDER}]'], "count with a dot": [f'51.5-["message",{PLACEHOLDER}]'],
    "text instead of an attachment": [f'51-["message",{PLACEHOLDER}]', '2["message"]'],
    "disconnect instead of an attachment": [f'51-["message",{PLACEHOLDER}]', "1"],
    "attachment nobody announced": [b"\x01"], "one attachment too many": [f'51-["message",{PLACEHOLDER}]', b"a", b"b"],
    "placeholder out of range": ['51-["message",{"_placeholder":true,"num":1}]', b"a"],
    "placeholder below range": ['51-["message",{"_placeholder":true,"num":-1}]', b"a"],
    "placeholder far out of range": ['51-["message",{"_placeholder":true,"num":1e9}]', b"a"],
    "placeholder of a string": ['51-["message",{"_placeholder":true,"num":"0"}]', b"a"],
    "placeholder of a fraction": ['51-["message",{"_placeholder":true,"num":0.5}]', b"a"],
    "placeholder without a number": ['51-["message",{"_placeholder":true}]', b"a"],
    "placeholder of null": ['51-["message",{"_placeholder":true,"num":null}]', b"a"],
    "nested placeholder out of range": ['51-["message",[{"a":{"_placeholder":true,"num":2}}]]', b"a"],
    "eleven attachments": ['511-["message",' + ",".join([PLACEHOLDER] * 11) + "]"] + [b"x"] * 11,
    "huge count": [f'5999999999999999999999-["message",{PLACEHOLDER}]'], "count of 2^31": [f'52147483648-["message",{PLACEHOLDER}]'],
    "binary ack with eleven": [f"611-1[{PLACEHOLDER}]"], "binary event of an object": ['51-{"_placeholder":true,"num":0}', b"a"],
    "a second connect": ["0"], "a second connect with auth": ['0{"token":"x"}'],
    "event of a namespace that was not joined": ['2/custom,["message"]'], "event of an unknown namespace": ['2/random,["message"]'],
    "ack of a namespace that was not joined": ["3/custom,1[]"], "disconnect of a namespace that was not joined": ["1/custom,"],
    "disconnect with a payload": ["1{}"], "connect of a string": ['0/custom,"x"'], "connect of an array": ["0/custom,[]"],
    "connect of a number": ["0/custom,1.5"], "connect of null": ["0/custom,null"], "connect of broken json": ["0/custom,{"],
    "namespace without a slash": ['2custom,["message"]'],
}
RESERVED = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]


@pytest.mark.parametrize("messages", INVALID.values(), ids=INVALID)
def test_an_invalid_packet_ends_the_connection(server, messages):
    joined = client(server)
    joined.send(*messages)
    came = [message for message in joined.wait_until_closed() if "message-back" in str(message)]
    assert len(came) == (1 if messages[2:] == [b"b"] else 0)


@pytest.mark.parametrize("messages", INVALID.values(), ids=INVALID)
def test_an_invalid_packet_ends_a_polling_connection(server, messages):
    joined = client(server, "polling")
    if messages == [""]:
        assert joined.session.post("4").status in (200, 400)
    else:
        import base64

        answer = joined.session.post(*(
            "4" + message if isinstance(message, str) else "b" + base64.b64encode(message).decode() for message in messages
        ))
        assert answer.status in (200, 400)
    joined.wait_until_closed()


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("namespace", ["", "/custom,"])
def test_a_reserved_event_name_ends_the_connection(server, name, namespace):
    joined = client(server).connect("/custom")
    joined.send(f'2{namespace}["{name}","x"]')
    joined.wait_until_closed()


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_event_name_with_an_attachment_ends_the_connection(server, name):
    joined = client(server)
    joined.send(f'51-["{name}",{PLACEHOLDER}]', b"x")
    joined.wait_until_closed()


def test_a_reserved_name_is_recognised_when_it_is_escaped(server):
    joined = client(server)
    joined.send(r'2["disconn\u0065ct"]')
    joined.wait_until_closed()


def test_all_namespaces_end_with_the_connection(server):
    watching = observer(server, "/custom")
    joined = client(server).connect("/custom")
    joined.send("2{}")
    joined.wait_until_closed()
    name, id, _ = watching.next_event("/custom")
    assert (name, id) == ("peer-disconnected", joined.sids["/custom"])


@pytest.mark.parametrize("first", ['2["message","early"]', '2/custom,["message"]', "31[]", "1", '51-["message",{}]'])
def test_anything_but_connect_first_ends_the_connection(server, first):
    asking = Client(server)
    asking.send(first)
    assert asking.wait_until_closed() == []


@pytest.mark.parametrize("transport", ["polling", "websocket", "upgraded"])
@pytest.mark.parametrize("namespace", ["", "/custom,"])
def test_an_event_sent_before_the_answer_to_connect_ends_the_connection(server, transport, namespace):
    asking = Client(server, transport)
    if transport == "polling":  # Refused already in the answer to the POST, or afterwards.
        asking.session.post(f"40{namespace}", f'42{namespace}["message","early"]')
    else:
        asking.send(f"0{namespace}", f'2{namespace}["message","early"]')
    assert not any("message-back" in message for message in asking.wait_until_closed())


def test_an_event_sent_before_a_middleware_has_answered_ends_the_connection(server):
    asking = Client(server)
    asking.send('0/denied,{"token":"letmein"}', '2/denied,["message","early"]')
    assert not any("message-back" in message for message in asking.wait_until_closed())


def test_a_second_connect_before_the_answer_to_the_first_ends_the_connection(server):
    asking = Client(server)
    asking.send("0", "0")
    asking.wait_until_closed()


def test_a_packet_for_a_refused_namespace_ends_the_connection(server):
    asking = Client(server)
    asking.send("0/denied,{}")
    asking.packet()
    asking.send('2/denied,["message"]')
    asking.wait_until_closed()


def test_a_packet_for_a_namespace_that_was_left_ends_the_connection(server):
    joined = client(server).connect("/custom")
    joined.send("1/custom,", '2/custom,["message"]')
    joined.wait_until_closed()


def test_what_came_before_the_invalid_packet_was_handled(server):
    watching = observer(server)
    watching_id = watching.sid
    joined = client(server)
    joined.send(f'2["room-emit","{watching_id}","last words"]', "2{}")
    joined.wait_until_closed()
    assert watching.next_event() == ["room-message", "last words"]


def test_what_comes_after_the_invalid_packet_is_not_handled(server):
    watching = observer(server)
    joined = client(server)
    joined.send("2{}", f'2["room-emit","{watching.sid}","too late"]')
    joined.wait_until_closed()
    assert watching.next_event()[:2] == ["peer-disconnected", joined.sid]
    assert watching.is_alive()


def test_exactly_ten_attachments_are_allowed(server):
    joined = client(server)
    joined.emit("message", *(bytes([number]) for number in range(10)))
    assert joined.next_event() == ["message-back", *(bytes([number]) for number in range(10))]


def test_an_unfinished_binary_event_is_forgotten_with_its_connection(server):
    joined = client(server)
    joined.send(f'51-["message",{PLACEHOLDER}]')
    joined.session.cut()
    assert client(server).is_alive()


@pytest.mark.parametrize("depth", [1_000, 100_000, 450_000])
def test_deep_json_is_answered_or_refused_but_kills_nobody(server, depth):
    joined = client(server)
    joined.send('2["message",' + "[" * depth + "]" * depth + "]")
    joined.send("1")
    joined.session.cut()
    assert client(server).is_alive()


@pytest.mark.parametrize("text", [
    "2" + "9" * 400 + '["message-with-ack"]', "3" + "9" * 400 + "[]", "2" + "9" * 20 + '["message-with-ack"]',
    '2["message",' + "9" * 10_000 + "]", '2["message",1e999999]', '2["burst",1e300]', '2["burst",-5]', '2["burst","x"]',
    '2["join",{}]', '2["room-emit"]', '2["room-emit",null,1]', "0/" + "a" * 100_000 + ",", "0/" + "é" * 1000 + ",",
    '2["' + "a" * 100_000 + '"]', '2["message",' + ",".join(["1"] * 20_000) + "]",
], ids=lambda text: text[:24])
def test_absurd_packets_kill_nobody(server, text):
    joined = client(server)
    joined.send(text)
    joined.session.cut()
    assert client(server).is_alive()
