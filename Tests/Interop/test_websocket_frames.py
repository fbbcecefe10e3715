"""RFC 6455 as a hostile peer would test it: each fault has its close code, and nobody else notices."""

import struct

import pytest
from engine_client import WebSocketSession
from raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, RawWebSocket, frame

OPEN = "/engine.io/?EIO=4&transport=websocket"


@pytest.fixture
def raw(server):
    websocket = RawWebSocket(server.port, OPEN)
    assert websocket.message()[0] == "0"
    return websocket


def echo(raw, text="4after"):
    raw.send(text)
    while (message := raw.message()) == "2":
        raw.send("3")
    return message


PROTOCOL_ERRORS = {
    "unmasked": frame(TEXT, b"4x", masked=False),
    "unmasked ping": frame(PING, b"", masked=False),
    "reserved bit 1": frame(TEXT, b"4x", rsv=4),
    "reserved bit 2": frame(TEXT, b"4x", rsv=2),
    "reserved bit 3": frame(TEXT, b"4x", rsv=1),
    "all reserved bits": frame(TEXT, b"4x", rsv=7),
    "reserved bit of a ping": frame(PING, b"", rsv=4),
    **{f"reserved opcode {code}": frame(code, b"4x") for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "fragmented ping": frame(PING, b"x", fin=False),
    "fragmented pong": frame(PONG, b"x", fin=False),
    "fragmented close": frame(CLOSE, b"\x03\xe8", fin=False),
    "long ping": frame(PING, b"x" * 126),
    "long pong": frame(PONG, b"x" * 126),
    "long close": frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "continuation of nothing": frame(CONTINUATION, b"4x"),
    "unfinished continuation of nothing": frame(CONTINUATION, b"4x", fin=False),
    "continuation after the end": frame(TEXT, b"4x") + frame(CONTINUATION, b"y"),
    "text within a message": frame(TEXT, b"4x", fin=False) + frame(TEXT, b"y"),
    "binary within a message": frame(TEXT, b"4x", fin=False) + frame(BINARY, b"y"),
    "close of one byte": frame(CLOSE, b"\x03"),
    **{f"close code {code}": frame(CLOSE, struct.pack("!H", code))
       for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)},
}


@pytest.mark.parametrize("data", PROTOCOL_ERRORS.values(), ids=PROTOCOL_ERRORS)
def test_a_fault_closes_with_1002(raw, data):
    raw.raw(data)
    assert raw.close_code() == 1002
    raw.connection.ended()


@pytest.mark.parametrize("data", [
    b"\xff", b"\xc0\x80", b"\xc1\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
    b"\xe2\x82", b"\x80", b"\xf0\x80\x80\x80", b"\xe0\x80\x80", b"a\xe2\x28\xa1", b"\xfe", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
], ids=lambda data: data.hex())
def test_invalid_utf8_closes_with_1007(raw, data):
    raw.raw(frame(TEXT, b"4" + data))
    assert raw.close_code() == 1007


def test_invalid_utf8_across_fragments_closes_with_1007(raw):
    raw.raw(frame(TEXT, b"4\xe2\x82", fin=False) + frame(CONTINUATION, b"x"))
    assert raw.close_code() == 1007


def test_an_unfinished_letter_at_the_end_closes_with_1007(raw):
    raw.raw(frame(TEXT, b"4\xe2", fin=False) + frame(CONTINUATION, b"\x82"))
    assert raw.close_code() == 1007


def test_an_invalid_reason_of_a_close_is_1007(raw):
    raw.raw(frame(CLOSE, b"\x03\xe8\xff\xfe"))
    assert raw.close_code() in (1007, 1002)


def test_invalid_utf8_in_a_binary_message_is_nobody_s_business(raw):
    raw.send(b"\xff\xfe\xc0\x80")
    assert raw.message() == b"\xff\xfe\xc0\x80"


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_a_valid_close_code_is_answered(raw, code):
    raw.raw(frame(CLOSE, struct.pack("!H", code)))
    assert raw.close_code() in (code, 1000)
    raw.connection.ended()


def test_an_empty_close_is_answered(raw):
    raw.raw(frame(CLOSE))
    assert raw.close_code() in (1000, 1005)


def test_a_close_with_a_reason_is_answered(raw):
    raw.raw(frame(CLOSE, b"\x03\xe8" + "grüße".encode() + b"x" * 100))
    assert raw.close_code() == 1000


def test_nothing_is_handled_after_a_close_frame(raw):
    raw.raw(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"4late"))
    assert raw.close_code() == 1000
    assert raw.connection.ended() == b""


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff\xfe", b"x" * 125], ids=len)
def test_a_ping_is_answered_with_its_payload(raw, payload):
    raw.raw(frame(PING, payload))
    assert raw.frame() == (True, 0, PONG, payload)


def test_ten_pings_are_answered_in_order(raw):
    raw.raw(b"".join(frame(PING, bytes([number])) for number in range(10)))
    assert [raw.frame()[3] for _ in range(10)] == [bytes([number]) for number in range(10)]


@pytest.mark.parametrize("payload", [b"", b"nobody asked"])
def test_a_pong_nobody_asked_for_is_ignored(raw, payload):
    raw.raw(frame(PONG, payload))
    assert echo(raw) == "4after"


def test_a_ping_within_a_fragmented_message_is_answered_at_once(raw):
    raw.raw(frame(TEXT, b"4one", fin=False) + frame(PING, b"x"))
    assert raw.frame() == (True, 0, PONG, b"x")
    raw.raw(frame(CONTINUATION, b"two"))
    assert raw.message() == "4onetwo"


@pytest.mark.parametrize("count", [2, 3, 10, 100])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_become_one_message(raw, count, opcode):
    parts = ["é" * 10 for _ in range(count)]
    whole = ("4" if opcode == TEXT else "") + "".join(parts)
    data = whole.encode()
    size = len(data) // count
    cuts = [data[index * size:(index + 1) * size if index < count - 1 else None] for index in range(count)]
    for index, cut in enumerate(cuts):  # Letters are cut in two as well.
        raw.raw(frame(opcode if index == 0 else CONTINUATION, cut, fin=index == count - 1))
    message = raw.message()
    assert message == (whole if opcode == TEXT else data)


def test_empty_fragments_are_allowed(raw):
    raw.raw(frame(TEXT, b"4", fin=False) + frame(CONTINUATION, b"", fin=False) * 5 + frame(CONTINUATION, b"x"))
    assert raw.message() == "4x"


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000])
def test_every_form_of_the_length_is_read_and_written(raw, size):
    raw.send("4" + "x" * size)
    assert raw.message() == "4" + "x" * size


@pytest.mark.parametrize("size", [1, 2, 3])
def test_frames_split_everywhere_are_read(raw, size):
    data = frame(TEXT, "4hé".encode()) + frame(BINARY, b"\x00" * 130) + frame(PING, b"p") + frame(TEXT, b"4end")
    for start in range(0, len(data), size):
        raw.raw(data[start:start + size])
    received = []
    while received[-1:] != ["4end"]:
        message = raw.message()
        if message == "2":
            raw.send("3")
        else:
            received.append(message)
    assert received == ["4hé", b"\x00" * 130, "4end"]


def test_many_frames_in_one_segment_are_read(raw):
    raw.raw(b"".join(frame(TEXT, f"4{number}".encode()) for number in range(500)))
    received = []
    while len(received) < 500:
        message = raw.message()
        if message == "2":
            raw.send("3")
        else:
            received.append(message)
    assert received == [f"4{number}" for number in range(500)]


def test_bytes_that_are_no_frames_close_the_connection(raw):
    raw.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
    with pytest.raises(Closed):
        while True:
            raw.message()


def test_a_half_frame_then_nothing_is_cut_by_the_heartbeat(raw):
    raw.raw(frame(TEXT, b"4x", length=1000))
    with pytest.raises(Closed):
        while True:
            raw.message()


def test_faults_of_one_connection_leave_the_others_alone(server):
    others = [WebSocketSession(server) for _ in range(2)]
    for data in list(PROTOCOL_ERRORS.values())[:3]:
        broken = RawWebSocket(server.port, OPEN)
        broken.raw(data)
        broken.close_code()
    for number, other in enumerate(others):
        other.send(str(number))
        assert other.receive() == str(number)
