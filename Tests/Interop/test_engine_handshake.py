"""Engine.IO protocol 4, "Handshake"; the fixture document's notes on errors and CORS."""

import pytest
from engine_client import Polling, WebSocketSession, target
from raw_http import Connection, ask
from raw_websocket import UPGRADE, RawWebSocket

PATHS = pytest.mark.parametrize("path", ["/engine.io/", "/socket.io/"])
ARGUMENTS = ()
KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


@PATHS
def test_polling_handshake_is_an_open_packet_with_exactly_five_keys(server, path):
    session = Polling(server, path)
    assert set(session.handshake) == KEYS
    assert session.handshake["upgrades"] == ["websocket"]
    assert session.handshake["pingInterval"] == 300
    assert session.handshake["pingTimeout"] == 200
    assert session.handshake["maxPayload"] == 1_000_000


@PATHS
def test_websocket_handshake_offers_no_upgrade(server, path):
    session = WebSocketSession(server, path)
    assert set(session.handshake) == KEYS
    assert session.handshake["upgrades"] == []
    assert session.handshake["maxPayload"] == 1_000_000


def test_polling_answers_are_plain_text_in_utf8(server):
    session = Polling(server)
    assert session.answer["content-type"].lower() == "text/plain; charset=utf-8"
    session.send("x")
    assert session.poll()["content-type"].lower() == "text/plain; charset=utf-8"


def test_a_session_id_is_long_and_safe_in_a_url(server):
    sids = {Polling(server).sid for _ in range(20)}
    assert len(sids) == 20
    for sid in sids:
        assert len(sid) >= 20
        assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in sid)


@pytest.mark.parametrize("query", ["t=Pdcx1ab", "b64=1", "token=a%20b", "a=1&a=2", "empty=", "flag"])
def test_unknown_query_parameters_are_ignored(server, query):
    answer = ask(server.port, "GET", f"/engine.io/?EIO=4&transport=polling&{query}")
    assert (answer.status, answer.text[0]) == (200, "0")


def test_query_parameters_come_in_any_order(server):
    assert ask(server.port, "GET", "/engine.io/?t=1&transport=polling&EIO=4").status == 200


def test_a_percent_encoded_query_is_decoded(server):
    assert ask(server.port, "GET", "/engine.io/?EIO=%34&transport=poll%69ng").status == 200


ERRORS = [
    (0, "Transport unknown", "GET", "EIO=4"),
    (0, "Transport unknown", "GET", "EIO=4&transport="),
    (0, "Transport unknown", "GET", "EIO=4&transport=abc"),
    (0, "Transport unknown", "GET", "EIO=4&transport=Polling"),
    (0, "Transport unknown", "GET", "EIO=4&transport=websocket2"),
    (0, "Transport unknown", "GET", "EIO=4&transport=constructor"),
    (0, "Transport unknown", "GET", "EIO=4&transport=webtransport"),
    (0, "Transport unknown", "GET", ""),
    (0, "Transport unknown", "POST", "EIO=4&transport=abc"),
    (0, "Transport unknown", "GET", "EIO=4&transport=abc&sid=unknown"),
    (1, "Session ID unknown", "GET", "EIO=4&transport=polling&sid=unknown"),
    (1, "Session ID unknown", "POST", "EIO=4&transport=polling&sid=unknown"),
    (1, "Session ID unknown", "GET", "EIO=4&transport=polling&sid=" + "a" * 2000),
    (1, "Session ID unknown", "GET", "EIO=4&transport=polling&sid=../../etc/passwd"),
    (1, "Session ID unknown", "GET", "EIO=4&transport=polling&sid=%00%ff"),
    (1, "Session ID unknown", "GET", "EIO=4&transport=websocket&sid=unknown"),
    (2, "Bad handshake method", "POST", "EIO=4&transport=polling"),
    (2, "Bad handshake method", "PUT", "EIO=4&transport=polling"),
    (2, "Bad handshake method", "DELETE", "EIO=4&transport=polling"),
    (2, "Bad handshake method", "PATCH", "EIO=4&transport=polling"),
    (3, "Bad request", "GET", "EIO=4&transport=websocket"),
    (5, "Unsupported protocol version", "GET", "transport=polling"),
    (5, "Unsupported protocol version", "GET", "EIO=&transport=polling"),
    (5, "Unsupported protocol version", "GET", "EIO=abc&transport=polling"),
    (5, "Unsupported protocol version", "GET", "EIO=2&transport=polling"),
    (5, "Unsupported protocol version", "GET", "EIO=3&transport=polling"),
    (5, "Unsupported protocol version", "GET", "EIO=5&transport=polling"),
    (5, "Unsupported protocol version", "GET", "EIO=44&transport=polling"),
]


@PATHS
@pytest.mark.parametrize(("code", "message", "method", "query"), ERRORS)
def test_refused_requests_are_400_with_code_and_message_and_cors(server, path, code, message, method, query):
    body = b"4hello" if method not in ("GET", "DELETE") else None
    answer = ask(server.port, method, f"{path}?{query}", {"Origin": "http://shop.example"}, body)
    assert answer.status == 400
    assert answer.json == {"code": code, "message": message}
    assert answer["content-type"].startswith("application/json")
    assert answer["access-control-allow-origin"] == "*"


def test_a_known_session_asked_by_the_wrong_transport_is_a_bad_request(server):
    websocket = WebSocketSession(server)
    answer = ask(server.port, "GET", target("/engine.io/", "polling", websocket.sid))
    assert (answer.status, answer.json["code"]) == (400, 3)
    websocket.send("still here")
    assert websocket.receive() == "still here"


def test_a_websocket_request_without_upgrade_for_a_polling_session_is_a_bad_request(polling):
    answer = ask(polling.server.port, "GET", target("/engine.io/", "websocket", polling.sid))
    assert (answer.status, answer.json["code"]) == (400, 3)
    polling.send("still here")
    assert polling.receive() == "still here"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_on_a_session_do_nothing_but_fail(polling, method):
    answer = ask(polling.server.port, method, polling.target, body=b"4x")
    assert answer.status in (400, 404, 405, 500)
    assert polling.server.process.poll() is None


def test_a_session_id_of_one_endpoint_is_unknown_to_the_other(server):
    session = Polling(server, "/engine.io/")
    answer = ask(server.port, "GET", target("/socket.io/", "polling", session.sid))
    assert (answer.status, answer.json["code"]) == (400, 1)


WEBSOCKET_REFUSALS = [
    (0, "EIO=4"), (0, "EIO=4&transport=abc"), (1, "EIO=4&transport=websocket&sid=unknown"), (5, "transport=websocket"),
    (5, "EIO=abc&transport=websocket"), (5, "EIO=3&transport=websocket"),
]


@PATHS
@pytest.mark.parametrize(("code", "query"), WEBSOCKET_REFUSALS)
def test_a_websocket_handshake_is_refused_with_400_and_the_connection_ends(server, path, code, query):
    with RawWebSocket(server.port, f"{path}?{query}", {"Origin": "http://shop.example"}) as websocket:
        assert websocket.answer.status == 400
        assert websocket.answer.json["code"] == code
        assert websocket.connection.ended() == b""


def test_an_upgrade_request_for_polling_is_no_websocket(server):
    """Reference: an upgrade has to name a transport that handles upgrades."""
    with RawWebSocket(server.port, "/engine.io/?EIO=4&transport=polling") as websocket:
        assert websocket.answer.status != 101


@pytest.mark.parametrize(("field", "value"), [
    ("Sec-WebSocket-Key", None), ("Sec-WebSocket-Key", "short"), ("Sec-WebSocket-Version", "12"),
    ("Sec-WebSocket-Version", None), ("Upgrade", "h2c"),
])
def test_a_broken_websocket_handshake_is_refused(server, field, value):
    fields = {name: text for name, text in UPGRADE.items() if name != field} | ({field: value} if value else {})
    with Connection(server.port) as connection:
        answer = connection.request("GET", "/engine.io/?EIO=4&transport=websocket", fields).response()
        assert 400 <= answer.status < 500


def test_the_websocket_accept_value_is_that_of_the_key(websocket):
    assert websocket.answer["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert websocket.answer["upgrade"].lower() == "websocket"
    assert websocket.answer["connection"].lower() == "upgrade"
    assert websocket.answer["sec-websocket-extensions"] is None


@pytest.mark.parametrize("fields", [
    {"Connection": "keep-alive, Upgrade"}, {"Upgrade": "WebSocket"}, {"connection": "upgrade"},
])
def test_upgrade_fields_are_compared_without_case_and_in_lists(server, fields):
    names = {name.lower() for name in fields}
    fields = {name: text for name, text in UPGRADE.items() if name.lower() not in names} | fields
    with Connection(server.port) as connection:
        assert connection.request("GET", "/engine.io/?EIO=4&transport=websocket", fields).response().status == 101


def test_a_frame_in_the_same_packet_as_the_handshake_is_not_lost(server):
    from raw_websocket import TEXT, frame

    lines = ["GET /engine.io/?EIO=4&transport=websocket HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in UPGRADE.items()]
    with Connection(server.port) as connection:
        connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + frame(TEXT, b"4early"))
        assert connection.response().status == 101
        connection.take_until(b"4early")


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("step", [1, 7])
def test_a_handshake_that_comes_in_pieces_is_understood(server, transport, step):
    fields = UPGRADE if transport == "websocket" else {"Accept": "*/*"}
    lines = [f"GET {target('/engine.io/', transport)} HTTP/1.1", "Host: localhost"]
    request = "\r\n".join(lines + [f"{name}: {value}" for name, value in fields.items()]).encode() + b"\r\n\r\n"
    with Connection(server.port) as connection:
        for start in range(0, len(request), step):
            connection.send(request[start:start + step])
        assert connection.response().status == (101 if transport == "websocket" else 200)


@pytest.mark.parametrize("path", ["/", "/engine", "/engine.iox/", "/other/?EIO=4&transport=polling", "/socket.io.js"])
def test_other_paths_are_not_found(server, path):
    assert ask(server.port, "GET", path).status == 404


def test_one_connection_carries_many_requests(polling):
    with Connection(polling.server.port) as connection:
        for number in range(5):
            posted = connection.request("POST", polling.target, body=f"4{number}".encode()).response()
            assert (posted.status, posted.body) == (200, b"ok")
            assert connection.request("GET", polling.target).response().text == f"4{number}"


def test_connection_close_is_honoured(server):
    with Connection(server.port) as connection:
        connection.request("GET", "/engine.io/?EIO=4&transport=polling", {"Connection": "close"})
        assert connection.response().status == 200
        assert connection.ended() == b""


def test_an_http_1_0_client_is_answered(server):
    with Connection(server.port) as connection:
        connection.send(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert connection.response().text[0] == "0"


def test_a_bad_request_does_not_cost_the_connection(server):
    with Connection(server.port) as connection:
        assert connection.request("GET", "/engine.io/?EIO=4&transport=abc").response().status == 400
        assert connection.request("GET", "/engine.io/?EIO=4&transport=polling").response().status == 200


def test_polling_then_websocket_on_one_connection(server):
    """An HTTP connection that was kept alive may still become a WebSocket."""
    with Connection(server.port) as connection:
        assert connection.request("GET", "/engine.io/?EIO=4&transport=polling").response().status == 200
        answer = connection.request("GET", "/engine.io/?EIO=4&transport=websocket", UPGRADE).response()
        assert answer.status == 101


# CORS of the default profile: origin `*`


@pytest.mark.parametrize("fields", [{"Origin": "http://a.example"}, {"Origin": "null"}, {}], ids=str)
def test_every_origin_may_read_every_answer(server, fields):
    session = Polling(server, fields=fields)
    for answer in (session.answer, session.post("4x", fields=fields), session.poll(fields)):
        assert answer["access-control-allow-origin"] == "*"
        assert answer["access-control-allow-credentials"] is None


def test_a_preflight_is_granted_to_all(server):
    answer = ask(server.port, "OPTIONS", "/engine.io/?EIO=4&transport=polling", {
        "Origin": "http://a.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    })
    assert (answer.status, answer.body) in ((204, b""), (200, b""))
    assert answer["access-control-allow-origin"] == "*"
    assert {"GET", "POST"} <= {name.strip() for name in answer["access-control-allow-methods"].split(",")}
    assert "authorization" in answer["access-control-allow-headers"].lower()


def test_no_cookie_is_set_by_default(server):
    assert Polling(server).answer["set-cookie"] is None
    assert WebSocketSession(server).answer["set-cookie"] is None
