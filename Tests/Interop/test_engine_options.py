"""Profile `options`: CORS by list with credentials, cookie, a smaller maxPayload."""

import pytest
from engine_client import Polling, WebSocketSession, target
from raw_http import ask
from raw_websocket import TEXT, RawWebSocket, frame

PROFILE = "options"
ALLOWED, FOREIGN = {"Origin": "http://allowed.example"}, {"Origin": "http://foreign.example"}
OPEN = "/engine.io/?EIO=4&transport=polling"


def test_an_allowed_origin_is_named_with_credentials(server):
    answer = ask(server.port, "GET", OPEN, ALLOWED)
    assert answer.status == 200
    assert answer["access-control-allow-origin"] == "http://allowed.example"
    assert answer["access-control-allow-credentials"] == "true"
    assert "origin" in (answer["vary"] or "").lower()


@pytest.mark.parametrize("origin", [
    "http://foreign.example", "http://allowed.example.evil", "https://allowed.example", "http://allowed.example:8080",
    "null", "http://ALLOWED.example.",
])
def test_a_foreign_origin_is_not_named(server, origin):
    answer = ask(server.port, "GET", OPEN, {"Origin": origin})
    assert answer["access-control-allow-origin"] is None
    assert "origin" in (answer["vary"] or "").lower()


def test_a_foreign_origin_is_never_answered_with_a_star(server):
    for fields in (FOREIGN, {}):
        assert ask(server.port, "GET", OPEN, fields)["access-control-allow-origin"] != "*"


def test_cors_is_on_polls_and_posts_too(server):
    session = Polling(server, fields=ALLOWED)
    posted = session.post("4x", fields=ALLOWED)
    polled = session.poll(ALLOWED)
    for answer in (posted, polled):
        assert answer.status == 200
        assert answer["access-control-allow-origin"] == "http://allowed.example"
        assert answer["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(("method", "query", "code"), [
    ("GET", "EIO=4&transport=abc", 0), ("GET", "EIO=4&transport=polling&sid=unknown", 1),
    ("POST", "EIO=4&transport=polling", 2), ("GET", "EIO=4&transport=websocket", 3), ("GET", "EIO=3&transport=polling", 5),
])
def test_cors_is_on_errors_too(server, method, query, code):
    answer = ask(server.port, method, f"/engine.io/?{query}", ALLOWED, b"" if method == "POST" else None)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert answer["access-control-allow-origin"] == "http://allowed.example"
    assert answer["access-control-allow-credentials"] == "true"
    foreign = ask(server.port, method, f"/engine.io/?{query}", FOREIGN, b"" if method == "POST" else None)
    assert foreign["access-control-allow-origin"] is None


def _preflight(server, fields, method="POST", headers="content-type"):
    return ask(server.port, "OPTIONS", OPEN, dict(fields) | {
        "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers,
    })


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_preflight_is_granted_without_a_body(server, method):
    answer = _preflight(server, ALLOWED, method, "content-type,x-custom")
    assert answer.status in (200, 204)
    assert answer.body == b""
    assert answer["access-control-allow-origin"] == "http://allowed.example"
    assert answer["access-control-allow-credentials"] == "true"
    assert {"GET", "POST"} <= {name.strip() for name in answer["access-control-allow-methods"].split(",")}
    names = {name.strip().lower() for name in answer["access-control-allow-headers"].split(",")}
    assert {"content-type", "x-custom"} <= names


def test_a_preflight_of_a_foreign_origin_is_granted_nothing(server):
    assert _preflight(server, FOREIGN)["access-control-allow-origin"] is None


def test_a_preflight_makes_no_session_and_sets_no_cookie(server):
    assert _preflight(server, ALLOWED)["set-cookie"] is None


# Cookie


@pytest.mark.parametrize("transport", [Polling, WebSocketSession])
def test_the_handshake_sets_the_cookie(server, transport):
    session = transport(server)
    assert session.answer["set-cookie"] == f"io={session.sid}; Path=/; HttpOnly; SameSite=Lax"


def test_the_cookie_is_set_once(server):
    session = Polling(server)
    assert session.post("4x")["set-cookie"] is None
    assert session.poll()["set-cookie"] is None
    websocket = session.probe()
    assert websocket.answer["set-cookie"] is None


def test_errors_set_no_cookie(server):
    assert ask(server.port, "GET", "/engine.io/?EIO=4&transport=abc")["set-cookie"] is None


def test_a_cookie_that_the_client_sends_changes_nothing(server):
    first = Polling(server)
    second = Polling(server, fields={"Cookie": f"io={first.sid}; other=1"})
    assert first.sid != second.sid
    second.send("x")
    assert second.receive() == "x"


# maxPayload 10,000


def test_the_handshake_tells_max_payload(server):
    assert Polling(server).handshake["maxPayload"] == 10_000
    assert WebSocketSession(server).handshake["maxPayload"] == 10_000


def test_exactly_max_payload_is_accepted(server, connect):
    session = connect(server)
    session.send("x" * 9_999)
    assert session.receive() == "x" * 9_999


def test_a_larger_post_is_413_and_cors_is_on_it(server):
    with Polling(server).start_post(b"4" + b"x" * 10_000, fields=ALLOWED) as post:
        answer = post.response()
    assert answer.status == 413
    assert answer["access-control-allow-origin"] == "http://allowed.example"


def test_a_larger_frame_is_1009(server):
    session = WebSocketSession(server)
    session.websocket.raw(frame(TEXT, b"4" + b"x" * 10_000))
    assert session.websocket.close_code() == 1009


def test_bytes_are_counted_not_letters(server):
    with Polling(server).start_post(("4" + "€" * 3_334).encode()) as post:
        assert post.response().status == 413


def test_a_larger_frame_during_the_probe_is_1009_and_polling_goes_on(server):
    session = Polling(server)
    websocket = RawWebSocket(server.port, target("/engine.io/", "websocket", session.sid))
    websocket.raw(frame(TEXT, b"2" + b"x" * 10_000))
    assert websocket.close_code() == 1009
    session.send("still here")
    assert session.receive() == "still here"
