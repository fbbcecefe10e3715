"""permessage-deflate (RFC 7692): on in the profile `options` from 1,024 bytes."""

import os
import zlib

import pytest
from engine_client import Polling, WebSocketSession, target
from raw_websocket import BINARY, CONTINUATION, TEXT, RawWebSocket, frame

PROFILE = "options"
OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}


def deflated(data):
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(data):
    return zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")


BOMB = deflated(b"4" + b"x" * 9_000_000)


@pytest.fixture
def raw(server):
    websocket = RawWebSocket(server.port, target("/engine.io/", "websocket"), OFFER)
    assert websocket.message()[0] == "0"
    return websocket


def data_frame(raw):
    """The next frame that is no ping."""
    while True:
        fin, rsv, opcode, payload = raw.frame()
        if payload != b"2":
            return fin, rsv, opcode, payload
        raw.send("3")


@pytest.mark.parametrize("offer", [
    "permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_max_window_bits=15",
    "permessage-deflate; client_max_window_bits=10; server_no_context_takeover", "x-unknown, permessage-deflate",
    "permessage-deflate; server_max_window_bits=15", "permessage-deflate; unknown_parameter=1, permessage-deflate",
    'permessage-deflate; client_max_window_bits="12"', "Permessage-Deflate",
])
def test_an_offer_is_accepted_and_messages_go_both_ways(server, offer):
    websocket = RawWebSocket(server.port, target("/engine.io/", "websocket"), {"Sec-WebSocket-Extensions": offer})
    assert websocket.is_open
    answer = (websocket.answer["sec-websocket-extensions"] or "").lower()
    if offer != "Permessage-Deflate":
        assert answer.split(";")[0].strip() == "permessage-deflate"
    assert websocket.message()[0] == "0"
    text = "4" + "seat " * 800
    websocket.raw(frame(TEXT, deflated(text.encode()), rsv=4) if answer else frame(TEXT, text.encode()))
    fin, rsv, opcode, payload = data_frame(websocket)
    assert (fin, opcode) == (True, TEXT)
    assert (inflated(payload) if rsv == 4 else payload).decode() == text


@pytest.mark.parametrize("offer", [
    "permessage-deflate; unknown_parameter", "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1", "x-webkit-deflate-frame", "permessage-bzip2",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
])
def test_an_offer_that_makes_no_sense_is_declined_or_the_handshake_refused(server, offer):
    websocket = RawWebSocket(server.port, target("/engine.io/", "websocket"), {"Sec-WebSocket-Extensions": offer})
    assert websocket.answer.status in (101, 400)
    if websocket.is_open:
        assert websocket.answer["sec-websocket-extensions"] is None
        assert websocket.message()[0] == "0"


def test_who_does_not_offer_gets_no_compression(server):
    session = WebSocketSession(server)
    assert session.answer["sec-websocket-extensions"] is None
    session.send("x" * 5000)
    assert session.receive() == "x" * 5000


def test_the_answer_is_compressed_from_1024_bytes(raw):
    raw.send("4" + "x" * 5000)
    fin, rsv, opcode, payload = data_frame(raw)
    assert (fin, rsv, opcode) == (True, 4, TEXT)
    assert len(payload) < 500
    assert inflated(payload) == b"4" + b"x" * 5000


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_small_answers_are_not_compressed(raw, size):
    raw.send("4" + "x" * size)
    assert data_frame(raw) == (True, 0, TEXT, b"4" + b"x" * size)


def test_binary_is_compressed_too(raw):
    raw.send(b"\x07" * 5000)
    fin, rsv, opcode, payload = data_frame(raw)
    assert (fin, rsv, opcode) == (True, 4, BINARY)
    assert inflated(payload) == b"\x07" * 5000


def test_what_does_not_shrink_arrives_whole(raw):
    data = os.urandom(5000)
    raw.send(data)
    _, rsv, opcode, payload = data_frame(raw)
    assert opcode == BINARY
    assert (inflated(payload) if rsv else payload) == data


def test_a_compressed_message_of_the_client_is_read(raw):
    raw.raw(frame(TEXT, deflated(b"4small"), rsv=4))
    assert data_frame(raw)[3] == b"4small"


def test_compressed_and_plain_messages_may_alternate(raw):
    for number in range(10):
        data = f"4{number}".encode()
        raw.raw(frame(TEXT, deflated(data), rsv=4) if number % 2 else frame(TEXT, data))
        assert data_frame(raw)[3] == data


def test_a_compressed_message_in_fragments_is_read(raw):
    data = deflated(("4" + "é€" * 700).encode())
    raw.raw(frame(TEXT, data[:5], fin=False, rsv=4) + frame(CONTINUATION, data[5:9], fin=False) + frame(CONTINUATION, data[9:]))
    _, rsv, _, payload = data_frame(raw)
    assert (inflated(payload) if rsv else payload).decode() == "4" + "é€" * 700


def test_an_empty_compressed_message_is_read(raw):
    raw.raw(frame(BINARY, b"\x00", rsv=4) + frame(TEXT, b"4after"))
    assert data_frame(raw)[3] == b""
    assert data_frame(raw)[3] == b"4after"


def test_a_message_that_grows_above_max_payload_closes_with_1009(raw):
    raw.raw(frame(TEXT, deflated(b"4" + b"x" * 10_000), rsv=4))
    assert raw.close_code() == 1009


def test_a_bomb_closes_with_1009(raw):
    raw.raw(frame(TEXT, BOMB, rsv=4))
    assert raw.close_code() == 1009


def test_exactly_max_payload_after_inflating_is_accepted(raw):
    raw.raw(frame(TEXT, deflated(b"4" + b"x" * 9_999), rsv=4))
    _, _, _, payload = data_frame(raw)
    assert inflated(payload) == b"4" + b"x" * 9_999


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x06", b"\x01\x00\x00\x00\x00\x00" * 3], ids=lambda data: data.hex())
def test_what_is_no_deflate_closes_the_connection(raw, data):
    raw.raw(frame(TEXT, data, rsv=4))
    assert raw.close_code() in (1002, 1007)


def test_invalid_utf8_within_a_compressed_message_closes_with_1007(raw):
    raw.raw(frame(TEXT, deflated(b"4\xff\xfe"), rsv=4))
    assert raw.close_code() == 1007


def test_the_bit_on_a_continuation_closes_with_1002(raw):
    data = deflated(b"4hello")
    raw.raw(frame(TEXT, data[:3], fin=False, rsv=4) + frame(CONTINUATION, data[3:], rsv=4))
    assert raw.close_code() == 1002


def test_the_bit_on_a_control_frame_closes_with_1002(raw):
    raw.raw(frame(9, b"", rsv=4))
    assert raw.close_code() == 1002


def test_other_reserved_bits_stay_forbidden(raw):
    raw.raw(frame(TEXT, b"4x", rsv=2))
    assert raw.close_code() == 1002


def test_an_upgraded_websocket_is_compressed_too(server):
    session = Polling(server)
    websocket = session.probe(OFFER)
    assert websocket.answer["sec-websocket-extensions"].startswith("permessage-deflate")
    websocket.send("5")
    websocket.raw(frame(TEXT, deflated(b"4" + b"x" * 5000), rsv=4))
    _, rsv, _, payload = data_frame(websocket)
    assert rsv == 4
    assert inflated(payload) == b"4" + b"x" * 5000
