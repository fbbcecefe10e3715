"""HTTP that no browser sends: answered with an error or cut, and the server lives on."""

import pytest
from engine_client import Polling, WebSocketSession, target
from raw_http import Connection, ask
from raw_websocket import UPGRADE

OPEN = "/engine.io/?EIO=4&transport=polling"


def outcome(server, data):
    """The status of the answer, or `None` if the connection was cut without one."""
    with Connection(server.port) as connection:
        try:
            connection.send(data)
            return connection.response().status
        except (AssertionError, ConnectionError):
            return None


GARBAGE = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50 + b"\r\n\r\n",
    "no version": b"GET /engine.io/\r\n\r\n",
    "wrong version": b"GET /engine.io/?EIO=4&transport=polling HTTP/9.9\r\nHost: a\r\n\r\n",
    "no method": b" /engine.io/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "space before the colon": b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost : a\r\n\r\n",
    "nul in a field": b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    "line folding": b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "two lengths": b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "length of letters": b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: ab\r\n\r\n",
    "endless length": b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "bad chunk": b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_a_malformed_request_is_refused(server, data):
    assert outcome(server, data) in (None, 400, 413, 431, 501, 505)
    assert Polling(server).sid


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_flood_of_header_fields_is_refused(server, transport):
    fields = UPGRADE if transport == "websocket" else {}
    head = f"GET {target('/engine.io/', transport)} HTTP/1.1\r\nHost: a\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    assert outcome(server, (head + "".join(f"X-{n}: y\r\n" for n in range(5000)) + "\r\n").encode()) in (431, 400, None)
    assert outcome(server, (head + f"X: {'y' * 100_000}\r\n\r\n").encode()) in (431, 400, None)
    assert Polling(server).sid


def test_a_head_that_never_ends_is_cut(server):
    with Connection(server.port) as connection:
        try:
            connection.send(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n")
            for _ in range(2000):
                connection.send(b"X: " + b"y" * 100 + b"\r\n")
        except ConnectionError:
            pass
        connection.ended()


@pytest.mark.parametrize("length", [1_000, 8_000, 100_000])
def test_a_long_query_is_served_or_refused(server, length):
    assert outcome(server, f"GET {OPEN}&x={'a' * length} HTTP/1.1\r\nHost: a\r\n\r\n".encode()) in (200, 400, 414, 431, None)
    assert Polling(server).sid


@pytest.mark.parametrize("query", [
    "EIO=4&transport=polling&sid=%", "EIO=4&transport=polling&sid=%zz", "EIO=4&transport=polling&sid=%C0%80", "&&&&", "=",
    "EIO=4&EIO=3&transport=polling&transport=websocket", "EIO=4&transport=polling&sid", "EIO=4&transport=polling&sid=",
    "EIO=4;transport=polling", "?EIO=4&transport=polling", "EIO=4&transport[]=polling", "EIO[$ne]=1&transport=polling",
])
def test_strange_queries_are_answered(server, query):
    assert ask(server.port, "GET", f"/engine.io/?{query}").status in (200, 400)


def test_a_hundred_connections_that_say_nothing_do_no_harm(server):
    silent = [Connection(server.port) for _ in range(100)]
    session = WebSocketSession(server)
    session.send("x")
    assert session.receive() == "x"
    for connection in silent:
        connection.close()


def test_a_hundred_half_requests_do_no_harm(server):
    half = [Connection(server.port) for _ in range(100)]
    for number, connection in enumerate(half):
        connection.send(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n"[:10 + number // 2])
    session = Polling(server)
    session.send("x")
    assert session.receive() == "x"
    for connection in half:
        connection.close()


def test_an_absolute_request_target_is_served_or_refused(server):
    data = b"GET http://localhost/engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert outcome(server, data) in (200, 400, 404)


def test_two_requests_in_one_segment_are_answered_in_order(server):
    request = f"GET {OPEN} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with Connection(server.port) as connection:
        connection.send(request + b"GET /engine.io/?EIO=4&transport=abc HTTP/1.1\r\nHost: a\r\n\r\n" + request)
        assert [connection.response().status for _ in range(3)] == [200, 400, 200]


def test_a_poll_and_a_post_pipelined_on_one_connection_are_both_answered(server):
    session = Polling(server)
    with Connection(server.port) as connection:
        connection.request("GET", session.target)
        connection.request("POST", session.target, body=b"4pipelined")
        first = connection.response()
        assert first.status == 200
        assert connection.response().status in (200, 400)


def test_a_head_request_is_answered_without_a_body(server):
    with Connection(server.port) as connection:
        answer = connection.request("HEAD", OPEN).response()
        assert answer.status in (200, 400, 405)
        connection.request("GET", "/engine.io/?EIO=4&transport=abc")
        assert connection.response().status == 400


def test_a_post_with_a_coded_body_is_not_taken_for_text(server):
    with Polling(server).start_post(b"\x1f\x8b\x08\x00", fields={"Content-Encoding": "gzip"}) as post:
        assert post.response().status in (400, 415)
