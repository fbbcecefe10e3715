"""Engine.IO protocol 4, "Heartbeat", "Closing", and the fixture document's notes on overlapping and cut requests."""

import time

import pytest
from engine_client import SEPARATOR, Polling, WebSocketSession, drain, until
from raw_http import ask
from raw_websocket import Closed, RawWebSocket

INTERVAL, TIMEOUT = 0.3, 0.2


# Heartbeat


def test_polling_pings_come_in_a_poll_and_go_on_while_pongs_come(polling):
    for _ in range(4):
        assert polling.packets() == ["2"]
        answer = polling.post("3")
        assert (answer.status, answer.body) == (200, b"ok")


def test_websocket_pings_go_on_while_pongs_come(websocket):
    for _ in range(4):
        assert websocket.websocket.message() == "2"
        websocket.websocket.send("3")


@pytest.mark.parametrize("transport", [Polling, WebSocketSession])
def test_the_first_ping_comes_after_ping_interval(server, transport):
    before = time.monotonic()
    session = transport(server)
    packet = session.packets()[0] if transport is Polling else session.websocket.message()
    passed = time.monotonic() - before
    assert packet == "2"
    assert passed >= INTERVAL - 0.02
    assert passed < INTERVAL + 10


def test_the_next_ping_comes_ping_interval_after_the_pong(websocket):
    raw = websocket.websocket
    assert raw.message() == "2"
    time.sleep(0.1)  # A pong that takes its time: what is measured begins with it.
    before = time.monotonic()
    raw.send("3")
    assert raw.message() == "2"
    assert time.monotonic() - before >= INTERVAL - 0.12


def test_a_polling_session_without_pongs_ends_after_the_timeout(beating):
    before = time.monotonic()
    polling = Polling(beating)
    assert polling.packets() == ["2"]
    answer = polling.poll()
    assert (answer.status, answer.text) == (200, "1") or answer.status == 400, answer
    assert INTERVAL + TIMEOUT - 0.1 <= time.monotonic() - before < 20
    assert polling.is_unknown()


def test_a_polling_session_that_is_never_asked_ends(beating):
    polling = Polling(beating)
    time.sleep(INTERVAL + TIMEOUT)
    until(lambda: polling.poll().status == 400, what="the end of the session")


def test_a_websocket_session_without_pongs_is_closed(beating):
    before = time.monotonic()
    raw = WebSocketSession(beating).websocket
    assert raw.message() == "2"
    with pytest.raises(Closed):
        while raw.message():
            pass
    raw.connection.ended()
    assert INTERVAL + TIMEOUT - 0.1 <= time.monotonic() - before < 20


def test_a_pong_nobody_asked_for_is_accepted(server, connect):
    session = connect(server)
    if isinstance(session, Polling):
        assert session.post("3").status == 200
    else:
        session.websocket.send("3")
    session.send("still here")
    assert session.receive() == "still here"


def test_messages_are_exchanged_between_ping_and_pong(websocket):
    raw = websocket.websocket
    assert raw.message() == "2"
    raw.send("4between")
    assert raw.message() == "4between"
    raw.send("3")
    assert raw.message() == "2"


def test_a_pong_and_messages_share_a_payload(polling):
    assert polling.packets() == ["2"]
    polling.post("4a", "3", "4b")
    received = []
    while len(received) < 2:
        received += polling.packets()
    assert received[:2] == ["4a", "4b"]
    assert polling.packets() == ["2"]


def test_a_ping_waits_for_the_poll_that_will_fetch_it(polling):
    time.sleep(INTERVAL + 0.05)
    assert polling.packets() == ["2"]
    assert polling.post("3").status == 200
    assert polling.packets() == ["2"]


def test_websocket_protocol_pings_do_not_count_as_pongs(beating):
    from raw_websocket import PONG, frame

    raw = WebSocketSession(beating).websocket
    assert raw.message() == "2"
    raw.raw(frame(PONG, b""))
    with pytest.raises(Closed):
        raw.message()


# Overlapping requests


def test_a_second_poll_ends_the_session_the_first_gets_a_close_packet(calm):
    polling = Polling(calm)
    with polling.start_poll() as first:
        assert first.is_waiting(0.05)
        second = polling.poll()
        assert second.status == 400
        answer = first.response()
        assert (answer.status, answer.text) == (200, "1")
    assert polling.poll().json["code"] == 1


def test_the_answer_to_a_second_poll_has_the_cors_headers(calm):
    polling = Polling(calm)
    with polling.start_poll() as first:
        assert first.is_waiting(0.05)
        assert polling.poll({"Origin": "http://a.example"})["access-control-allow-origin"] == "*"


def test_polls_one_after_another_are_no_overlap(polling):
    for number in range(20):
        polling.send(str(number))
        assert polling.receive() == str(number)


def test_a_second_post_is_400_while_the_first_is_still_read(polling):
    with polling.start_post(b"4", length=6) as first:
        assert first.is_waiting(0.05)
        second = polling.post("4second")
        assert second.status == 400
        polling.wait_until_closed()


def test_a_second_post_is_400_when_its_head_arrives(polling):
    with polling.start_post(b"", length=6) as first:
        assert first.is_waiting(0.05)
        with polling.start_post(b"", length=6) as second:
            assert second.response().status == 400
        polling.wait_until_closed()


def test_a_second_post_answers_the_waiting_poll(calm):
    polling = Polling(calm)
    with polling.start_poll() as poll, polling.start_post(b"4", length=6) as first:
        assert first.is_waiting(0.05)
        with polling.start_post(b"", length=6) as second:
            assert second.response().status == 400
        answer = poll.response()
        assert (answer.status, answer.text) in ((200, "1"), (400, answer.text))


def test_a_first_post_that_was_overlapped_delivers_nothing_afterwards(server):
    session = Polling(server)
    with session.start_post(b"4", length=6) as first:
        assert first.is_waiting(0.05)
        assert session.post("4second").status == 400
        try:
            first.send(b"first")
            first.ended()
        except ConnectionError:
            pass
    assert session.is_unknown()


def test_a_poll_and_a_post_at_once_are_no_overlap(polling):
    for number in range(10):
        with polling.start_poll() as poll:
            assert polling.post(f"4{number}").body == b"ok"
            packets = poll.response().text.split(SEPARATOR)
        if "2" in packets:
            polling.post("3")
        while f"4{number}" not in packets:
            packets += polling.packets()
        assert [packet for packet in packets if packet not in ("2", "6")] == [f"4{number}"]


# Cut requests


def test_a_poll_that_the_client_cuts_ends_the_session(calm):
    polling = Polling(calm)
    poll = polling.start_poll()
    assert poll.is_waiting(0.02)
    poll.close()
    until(polling.is_unknown, what="the end of the session")


def test_a_poll_cut_without_a_pause_ends_the_session(polling):
    polling.start_poll().close()
    until(lambda: polling.poll().status == 400, what="the end of the session")


def test_a_post_that_the_client_cuts_ends_the_session(polling):
    post = polling.start_post(b"4ab", length=10)
    assert post.is_waiting(0.02)
    post.close()
    until(polling.is_unknown, what="the end of the session")


def test_closing_an_idle_connection_between_polls_ends_nothing(polling):
    for number in range(3):
        polling.send(str(number))  # `send` and `receive` close their connections each time.
        assert polling.receive() == str(number)


def test_half_a_request_head_ends_nothing(polling):
    from raw_http import Connection

    with Connection(polling.server.port) as connection:
        connection.send(f"GET {polling.target} HTTP/1.1\r\nHost: loc".encode())
    polling.send("still here")
    assert polling.receive() == "still here"


# Closing


def test_a_close_packet_answers_the_waiting_poll_with_a_noop(calm):
    polling = Polling(calm)
    with polling.start_poll() as poll:
        assert poll.is_waiting(0.05)
        answer = polling.post("1")
        assert (answer.status, answer.body) == (200, b"ok")
        answer = poll.response()
        assert (answer.status, answer.text) == (200, "6")
    assert polling.poll().json["code"] == 1


def test_a_close_packet_without_a_waiting_poll_ends_the_session(polling):
    assert polling.post("1").status == 200
    assert polling.poll().json == {"code": 1, "message": "Session ID unknown"}


def test_packets_after_a_close_packet_are_not_read(polling):
    assert polling.post("1", "4late").status in (200, 400)
    assert polling.is_unknown()


def test_a_close_packet_over_websocket_ends_the_connection_without_waiting_for_a_ping(server):
    def seconds():
        session = WebSocketSession(server)
        before = time.monotonic()
        session.websocket.send("1")
        session.wait_until_closed()
        return time.monotonic() - before

    # Once in five is proof enough, and no matter of how busy the machine is.
    assert min(seconds() for _ in range(5)) < 0.25


def test_a_client_that_does_not_answer_a_close_frame_is_cut(websocket):
    websocket.websocket.answers_close = False
    websocket.websocket.send("1")
    websocket.wait_until_closed()


def test_a_close_frame_is_answered_with_its_code(websocket):
    from raw_websocket import CLOSE, frame

    websocket.websocket.raw(frame(CLOSE, b"\x03\xe8"))
    assert websocket.websocket.close_code() == 1000
    assert websocket.websocket.connection.ended() == b""


def test_a_closed_upgraded_session_is_forgotten(polling):
    session = polling.upgrade()
    session.send("up")
    assert session.receive() == "up"
    session.websocket.send("1")
    session.wait_until_closed()
    until(polling.is_unknown, what="the end of the session")


def test_a_cut_websocket_ends_its_session(polling):
    session = polling.upgrade()
    session.send("up")
    assert session.receive() == "up"
    session.cut()
    until(polling.is_unknown, what="the end of the session")


def test_sessions_do_not_disturb_one_another(server):
    sessions = [Polling(server) if number % 2 else WebSocketSession(server) for number in range(10)]
    for number, session in enumerate(sessions):
        session.send(f"of {number}")
    for number, session in enumerate(sessions):
        assert session.receive() == f"of {number}"


def test_thirty_sessions_at_once(server):
    sessions = [RawWebSocket(server.port, "/engine.io/?EIO=4&transport=websocket") for _ in range(30)]
    for number, session in enumerate(sessions):
        session.send(f"4of {number}")
    for number, session in enumerate(sessions):
        while (message := session.message())[0] != "4":
            session.send("3") if message == "2" else None
        assert message == f"4of {number}"
        session.cut()


def test_a_keep_alive_connection_may_serve_several_sessions(server):
    from raw_http import Connection

    first, second = Polling(server), Polling(server)
    with Connection(server.port) as connection:
        for session in (first, second):
            assert connection.request("POST", session.target, body=b"4x").response().body == b"ok"
    assert (first.receive(), second.receive()) == ("x", "x")


def test_an_ended_session_answers_posts_like_an_unknown_one(polling):
    polling.post("1")
    answer = ask(polling.server.port, "POST", polling.target, {"Origin": "http://a.example"}, b"4x")
    assert (answer.status, answer.json["code"]) == (400, 1)
    assert answer["access-control-allow-origin"] == "*"


def test_messages_that_wait_are_fetched_before_the_close(server):
    session = Polling(server)
    session.send("waits")
    with session.start_poll() as poll:
        assert poll.response().text == "4waits"
    session.post("1")
    assert drain(session) == []
