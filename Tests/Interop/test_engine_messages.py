"""Engine.IO protocol 4, "Packet encoding", "HTTP long-polling" and "maxPayload", on the echoing endpoint."""

import base64
import gzip
import os
import zlib

import pytest
from engine_client import SEPARATOR, Polling, drain
from raw_http import Connection
from raw_websocket import BINARY as BINARY_FRAME
from raw_websocket import CONTINUATION, TEXT, Closed, frame

MAX = 1_000_000

TEXTS = {
    "empty": "", "letter": "a", "sentence": "hello, world", "accents": "é", "euro": "€", "emoji": "😀🇰🇷",
    "hangul": "좌석 예매", "controls": "\x00\x01\x1f\x7f", "newlines": "a\r\nb\n", "digits": "4", "packet-like": "b4AAA=",
    "quotes": '"\\"', "bidi": "\u202eabc", "noncharacter": "\uffff", "bom": "\ufeffx", "long": "x" * 70_000,
    "long unicode": "ü€😀" * 9_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_comes_back_as_it_went(server, connect, text):
    session = connect(server)
    session.send(text)
    assert session.receive() == text


BINARIES = {
    "one zero": b"\0", "two": b"\xff\x00", "three": b"abc", "four": bytes([1, 2, 3, 4]), "separator": b"\x1e\x1e",
    "all bytes": bytes(range(256)), "126": b"x" * 126, "20001": os.urandom(20_001),
}


@pytest.mark.parametrize("data", BINARIES.values(), ids=BINARIES)
def test_binary_comes_back_as_it_went(server, connect, data):
    session = connect(server)
    session.send(data)
    assert session.receive() == data


def test_empty_binary_comes_back(server, connect):
    session = connect(server)
    session.send(b"", "after")
    assert session.receive() == b""
    assert session.receive() == "after"


@pytest.mark.parametrize("packets", [
    ["4hello"], ["4test1", "4test2", "4test3"], ["4hello", "bAQIDBA=="], ["bAQIDBA==", "4hello"],
    ["bAA==", "bAAA=", "bAAAA"], ["4", "4"],
], ids=lambda packets: " ".join(packets))
def test_a_payload_is_packets_joined_by_the_record_separator(polling, packets):
    answer = polling.post(*packets)
    assert (answer.status, answer.body) == (200, b"ok")
    assert polling.packets() == packets


def test_a_hundred_messages_keep_their_order(server, connect):
    session = connect(server)
    sent = [f"text {number}" if number % 3 else bytes([number]) for number in range(100)]
    session.send(*sent)
    assert [session.receive() for _ in sent] == sent


def test_a_poll_holds_at_most_16_packets_and_the_rest_comes_with_the_next(polling):
    polling.send(*map(str, range(50)))
    received = []
    while len(received) < 50:
        packets = [packet for packet in polling.packets() if packet != "2"]
        assert 0 < len(packets) <= 16
        received += packets
    assert received == [f"4{number}" for number in range(50)]


def test_a_poll_waits_for_a_message(calm):
    polling = Polling(calm)
    with polling.start_poll() as poll:
        assert poll.is_waiting()
        polling.send("late")
        assert poll.response().text == "4late"


def test_a_post_is_answered_while_a_poll_waits(calm):
    polling = Polling(calm)
    with polling.start_poll() as poll, polling.start_post(b"4one") as post:
        assert post.response().body == b"ok"
        assert poll.response().text == "4one"


def test_several_posts_one_after_another_while_a_poll_waits(polling):
    polling.send("a")
    polling.send("b")
    polling.send("c")
    assert [polling.receive() for _ in range(3)] == ["a", "b", "c"]


def test_content_type_of_a_post_does_not_matter(server):
    for content_type in ("text/plain;charset=UTF-8", "text/plain", "text/plain; charset=utf-8", ""):
        session = Polling(server)
        assert session.post("4x", fields={"Content-Type": content_type} if content_type else {}).status == 200
        assert session.receive() == "x"


def test_a_chunked_post_is_read(polling):
    with Connection(polling.server.port) as connection:
        connection.send(
            f"POST {polling.target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + b"3\r\n4he\r\n" + b"3\r\nllo\r\n" + b"0\r\n\r\n"
        )
        assert connection.response().body == b"ok"
    assert polling.receive() == "hello"


def test_a_post_that_comes_byte_by_byte_is_read(polling):
    body = "4hé\x1ebAQIDBA==".encode()
    with polling.start_post(b"", length=len(body)) as post:
        for byte in body:
            post.send(bytes([byte]))
        assert post.response().body == b"ok"
    assert polling.receive() == "hé"
    assert polling.receive() == b"\x01\x02\x03\x04"


def test_expect_100_continue_is_answered(polling):
    with polling.start_post(b"", length=6, fields={"Expect": "100-continue"}) as post:
        post.take_until(b"100 Continue\r\n\r\n")
        post.send(b"4hello")
        assert post.response().body == b"ok"
    assert polling.receive() == "hello"


INVALID_PAYLOADS = {
    "unknown type": "abc", "nothing": "", "only a separator": "\x1e", "separator first": "\x1e4a",
    "separator last": "4a\x1e", "two separators": "4a\x1e\x1e4b", "type 7": "7", "type 9": "9x", "ping": "2",
    "ping with data": "2probe", "open": "0{}", "bad base64": "b!!!!", "newline": "\n", "json": "{}",
}


@pytest.mark.parametrize("body", INVALID_PAYLOADS.values(), ids=INVALID_PAYLOADS)
def test_an_invalid_packet_ends_a_polling_session(server, body):
    session = Polling(server)
    with session.start_post(body.encode()) as post:
        assert post.response().status in (200, 400)
    session.wait_until_closed()
    assert session.poll().json["code"] == 1


def test_packets_before_an_invalid_one_end_nothing_else(server):
    others, session = Polling(server), Polling(server)
    session.post("4a", "zzz")
    session.wait_until_closed()
    others.send("b")
    assert others.receive() == "b"


def test_a_waiting_poll_is_answered_when_an_invalid_packet_ends_the_session(polling):
    with polling.start_poll() as poll:
        assert poll.is_waiting(0.02)
        polling.post("abc")
        assert poll.response().status in (200, 400)


def test_invalid_utf8_in_a_post_ends_the_session(polling):
    with polling.start_post(b"4\xff\xfe") as post:
        post.response()
    polling.wait_until_closed()


INVALID_FRAMES = {
    "unknown type": "abc", "empty": "", "type 7": "7", "ping": "2", "ping with data": "2probe", "open": "0{}",
    "late base64": "b!!!",
}


@pytest.mark.parametrize("packet", INVALID_FRAMES.values(), ids=INVALID_FRAMES)
def test_an_invalid_packet_ends_a_websocket_session(websocket, packet):
    websocket.websocket.send(packet)
    websocket.wait_until_closed()


# maxPayload


def test_a_post_of_exactly_max_payload_is_accepted_and_echoed(polling):
    text = "x" * (MAX - 1)
    polling.send(text)
    assert polling.receive() == text


@pytest.mark.parametrize("body", [b"4" + b"x" * MAX, b"4" + b"x" * (MAX * 3)], ids=["one more", "three times"])
def test_a_larger_post_is_413(polling, body):
    try:
        with polling.start_post(body, fields={"Origin": "http://a.example"}) as post:
            assert post.response().status == 413
    except ConnectionError:  # The answer may be lost with what was not read.
        pass


def test_a_declared_length_above_max_payload_is_413_before_the_body_comes(polling):
    with polling.start_post(b"", length=MAX + 1) as post:
        answer = post.response()
    assert answer.status == 413


def test_a_413_has_the_cors_headers(polling):
    with polling.start_post(b"", length=MAX + 1, fields={"Origin": "http://a.example"}) as post:
        assert post.response()["access-control-allow-origin"] == "*"


def test_a_chunked_post_above_max_payload_is_413(polling):
    with Connection(polling.server.port) as connection:
        connection.send(f"POST {polling.target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"x" * 100_000
        try:
            connection.send(b"1\r\n4\r\n")
            for _ in range(11):
                connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        except ConnectionError:
            pass
        assert connection.response().status == 413


def test_a_frame_of_exactly_max_payload_is_accepted(websocket):
    text = "x" * (MAX - 1)
    websocket.send(text)
    assert websocket.receive() == text


def test_a_binary_frame_of_exactly_max_payload_is_accepted(websocket):
    data = os.urandom(MAX)
    websocket.send(data)
    assert websocket.receive() == data


@pytest.mark.parametrize("opcode", [TEXT, BINARY_FRAME])
def test_a_larger_frame_closes_with_1009(websocket, opcode):
    websocket.websocket.raw(frame(opcode, b"4", length=MAX + 1))
    assert websocket.websocket.close_code() == 1009


def test_fragments_that_add_up_to_more_close_with_1009(websocket):
    part = b"4" * 400_000
    raw = websocket.websocket
    raw.raw(frame(TEXT, part, fin=False) + frame(CONTINUATION, part, fin=False) + frame(CONTINUATION, part))
    assert raw.close_code() == 1009


@pytest.mark.parametrize("length", [2**32, 2**62, 2**63 - 1])
def test_a_huge_declared_frame_closes_with_1009_at_once(websocket, length):
    websocket.websocket.raw(frame(TEXT, b"4", length=length))
    assert websocket.websocket.close_code() == 1009


# gzip of polling answers


def _big(polling, size=5000):
    text = "ab" * (size // 2)
    polling.send(text)
    return text


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "deflate, gzip;q=0.5", "*", "GZIP"])
def test_answers_from_1_kb_are_compressed_for_those_who_accept_gzip(polling, accepted):
    text = _big(polling)
    answer = polling.poll({"Accept-Encoding": accepted})
    encoding = answer["content-encoding"]
    assert encoding in ("gzip", "deflate")
    plain = gzip.decompress(answer.body) if encoding == "gzip" else zlib.decompress(answer.body)
    assert plain.decode() == "4" + text
    assert len(answer.body) < 1000


@pytest.mark.parametrize("accepted", [None, "identity", "br", "gzip;q=0", "gzip; q=0.0", ""])
def test_answers_are_plain_for_those_who_do_not_accept_gzip(polling, accepted):
    text = _big(polling)
    answer = polling.poll({} if accepted is None else {"Accept-Encoding": accepted})
    assert answer["content-encoding"] is None
    assert answer.text == "4" + text


@pytest.mark.parametrize(("size", "compressed"), [(1000, False), (1022, False), (1030, True)])
def test_compression_begins_at_1024_bytes(polling, size, compressed):
    _big(polling, size)
    answer = polling.poll({"Accept-Encoding": "gzip"})
    assert (answer["content-encoding"] == "gzip") == compressed


def test_compressed_binary_and_text_packets_are_whole(polling):
    data = os.urandom(3000)
    polling.send("é" * 2000, data)
    packets = []
    while len(packets) < 2:
        answer = polling.poll({"Accept-Encoding": "gzip"})
        body = gzip.decompress(answer.body) if answer["content-encoding"] else answer.body
        packets += body.decode().split(SEPARATOR)
    assert packets == ["4" + "é" * 2000, "b" + base64.b64encode(data).decode()]


def test_the_open_packet_is_not_compressed(server):
    assert Polling(server, fields={"Accept-Encoding": "gzip"}).answer["content-encoding"] is None


def test_max_payload_is_also_that_of_base64(polling):
    data = bytes(740_000)
    polling.send(data)
    assert polling.receive() == data


def test_closed_sessions_free_the_echo_that_nobody_fetched(server):
    session = Polling(server)
    session.send("never fetched")
    session.post("1")
    assert drain(session) in ([], ["never fetched"])
    with pytest.raises(Closed):
        session.receive()
