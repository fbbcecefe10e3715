"""Engine.IO protocol 4, "Upgrade", with the races that the fixture document names."""

import time

import pytest
from engine_client import Polling, WebSocketSession, target, until
from raw_http import ask
from raw_websocket import CLOSE, Closed, RawWebSocket, frame
from socketio_client import Client


def packet(websocket, heartbeat=True):
    """The next Engine.IO packet over a bare WebSocket, its pings answered."""
    while True:
        message = websocket.message()
        if message != "2" or not heartbeat:
            return message
        websocket.send("3")


def test_probe_noop_and_upgrade(calm):
    polling = Polling(calm)
    websocket = polling.probe()
    assert polling.packets() == ["6"]
    websocket.send("5")
    websocket.send("4hello")
    assert packet(websocket) == "4hello"


def test_a_poll_that_waits_is_released_by_the_probe(calm):
    polling = Polling(calm)
    with polling.start_poll() as poll:
        assert poll.is_waiting(0.05)
        polling.probe()
        assert poll.response().text == "6"


def test_every_poll_during_the_upgrade_is_released(polling):
    websocket = polling.probe()
    seconds = []
    for _ in range(5):
        before = time.monotonic()
        assert polling.packets() in (["6"], ["2"])  # The ping may fall due.
        seconds.append(time.monotonic() - before)
    assert min(seconds[1:]) < 0.25, "released by the ping alone"
    websocket.send("5")
    websocket.send("4hello")
    assert packet(websocket) == "4hello"


def test_a_poll_that_waits_while_the_upgrade_packet_comes_is_released(calm):
    polling = Polling(calm)
    with polling.start_poll() as poll:
        assert poll.is_waiting(0.05)
        websocket = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
        websocket.send_all("2probe", "5", "4hello")
        assert poll.response().text == "6"
        assert packet(websocket) == "3probe"
        assert packet(websocket) == "4hello"


def test_probe_upgrade_and_message_in_one_segment(polling):
    websocket = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    websocket.send_all("2probe", "5", "4one", b"two", "4three")
    assert [packet(websocket) for _ in range(4)] == ["3probe", "4one", b"two", "4three"]


def test_a_post_during_the_upgrade_is_accepted(polling):
    websocket = polling.probe()
    assert polling.post("4posted").body == b"ok"
    websocket.send("5")
    received = []
    while "4posted" not in received:
        received.append(packet(websocket))
    assert received == ["4posted"]


def test_a_message_during_the_upgrade_is_fetched_by_a_poll_or_comes_after_it_but_once(polling):
    websocket = polling.probe()
    polling.post("4posted")
    polled = [item for item in polling.packets() if item not in ("6", "2")]
    websocket.send("5")
    websocket.send("4last")
    received = polled
    while received[-1:] != ["4last"]:
        received.append(packet(websocket))
    assert received == ["4posted", "4last"]


def test_what_waits_is_flushed_in_order_over_the_new_transport(polling):
    polling.send("one", b"\x02", "three")
    session = polling.upgrade()
    session.send("four")
    assert [session.receive() for _ in range(4)] == ["one", b"\x02", "three", "four"]


def test_more_than_a_poll_s_worth_waits_and_is_flushed(polling):
    polling.send(*map(str, range(100)))
    session = polling.upgrade()
    assert [session.receive() for _ in range(100)] == list(map(str, range(100)))


def test_a_poll_after_the_upgrade_is_a_bad_request_and_ends_nothing(polling):
    session = polling.upgrade()
    session.send("up")
    assert session.receive() == "up"
    answer = polling.poll({"Origin": "http://a.example"})
    assert (answer.status, answer.json) == (400, {"code": 3, "message": "Bad request"})
    assert answer["access-control-allow-origin"] == "*"
    session.send("still here")
    assert session.receive() == "still here"


def test_a_post_after_the_upgrade_is_a_bad_request_and_ends_nothing(polling):
    session = polling.upgrade()
    session.send("up")
    assert session.receive() == "up"
    answer = polling.post("4posted")
    assert (answer.status, answer.json["code"]) == (400, 3)
    session.send("still here")
    assert session.receive() == "still here"


def test_a_second_websocket_after_the_upgrade_is_closed(polling):
    session = polling.upgrade()
    session.send("up")
    assert session.receive() == "up"
    other = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    if other.is_open:
        assert other.close_code() in (None, 1000, 1005, 1002, 1008)
    session.send("still here")
    assert session.receive() == "still here"


def test_a_second_websocket_while_the_first_probes_is_closed(polling):
    first = polling.probe()
    second = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    if second.is_open:
        second.send("2probe")
        with pytest.raises(Closed):
            assert second.message() != "3probe"
    first.send("5")
    first.send("4hello")
    assert packet(first) == "4hello"


def test_a_websocket_for_a_websocket_session_is_refused(server):
    session = WebSocketSession(server)
    other = RawWebSocket(server.port, target("/engine.io/", "websocket", session.sid))
    if other.is_open:
        other.send("2probe")
        with pytest.raises(Closed):
            assert other.message() != "3probe"
    session.send("still here")
    assert session.receive() == "still here"


def test_a_websocket_for_an_unknown_session_is_400(server):
    websocket = RawWebSocket(server.port, target("/engine.io/", "websocket", "unknown"))
    assert (websocket.answer.status, websocket.answer.json["code"]) == (400, 1)


# Before the upgrade packet the session still belongs to polling


def _works_over_polling(polling):
    polling.send("still here")
    assert polling.receive() == "still here"


@pytest.mark.parametrize("before", ["opened", "probed"])
@pytest.mark.parametrize("how", ["cut", "close frame"])
def test_the_session_goes_on_over_polling_if_the_websocket_closes(polling, before, how):
    websocket = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    if before == "probed":
        websocket.send("2probe")
        assert websocket.message() == "3probe"
    if how == "cut":
        websocket.cut()
    else:
        websocket.raw(frame(CLOSE, b"\x03\xe8"))
        assert websocket.close_code() == 1000
    _works_over_polling(polling)


@pytest.mark.parametrize("packets", [
    ["4hello"], ["2"], ["2other"], ["3"], ["1"], [b"\x01"], ["abc"], [""],
    ["2probe", "4hello"], ["2probe", "2"], ["2probe", "abc"], ["2probe", b"\x01"], ["2probe", "1"],
], ids=str)
def test_a_websocket_that_sends_something_else_is_closed_and_polling_goes_on(polling, packets):
    websocket = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    websocket.send_all(*packets)
    with pytest.raises(Closed):
        while websocket.message() == "3probe":
            pass
    _works_over_polling(polling)


def test_an_invalid_frame_during_the_probe_closes_the_websocket_and_polling_goes_on(polling):
    websocket = polling.probe()
    websocket.raw(frame(3))
    assert websocket.close_code() == 1002
    _works_over_polling(polling)


def test_a_websocket_that_never_sends_the_upgrade_packet_is_closed_and_polling_goes_on(polling):
    websocket = polling.probe()
    before = time.monotonic()
    websocket.connection.socket.settimeout(0.01)
    while True:  # The session lives while the upgrade does not come: pings are answered over polling.
        if "2" in polling.packets():
            polling.post("3")
        try:
            if not websocket.connection.read():
                break
        except TimeoutError:
            assert time.monotonic() - before < 20
    assert time.monotonic() - before >= 0.9
    _works_over_polling(polling)


def test_a_websocket_that_never_probes_is_closed_and_polling_goes_on(polling):
    websocket = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    websocket.connection.socket.settimeout(0.01)
    deadline = time.monotonic() + 20
    while True:
        if "2" in polling.packets():
            polling.post("3")
        try:
            if not websocket.connection.read():
                break
        except TimeoutError:
            assert time.monotonic() < deadline
    _works_over_polling(polling)


def test_a_second_attempt_succeeds_after_the_first_was_cut(polling):
    polling.probe().cut()
    _works_over_polling(polling)
    until(lambda: _probes(polling), what="the second probe")


def _probes(polling):
    websocket = RawWebSocket(polling.server.port, target("/engine.io/", "websocket", polling.sid))
    try:
        websocket.send("2probe")
        if websocket.message() != "3probe":
            return False
    except (Closed, ConnectionError):
        return False
    websocket.send_all("5", "4up")
    return packet(websocket) == "4up"


def test_polls_wait_again_after_an_upgrade_was_given_up(polling):
    websocket = polling.probe()
    assert polling.packets() == ["6"]
    websocket.raw(frame(CLOSE, b"\x03\xe8"))
    websocket.close_code()
    with polling.start_poll() as poll:
        packets = poll.response().text
        assert packets == "2", "a poll without an upgrade waits for the ping"


# Heartbeat


def test_the_ping_goes_on_after_the_upgrade(polling):
    session = polling.upgrade()
    for _ in range(3):
        assert session.websocket.message() == "2"
        session.websocket.send("3")


def test_a_pong_may_come_over_the_new_transport(polling):
    assert polling.packets() == ["2"]
    websocket = polling.probe()
    websocket.send_all("5", "3")
    for _ in range(2):
        assert websocket.message() == "2"
        websocket.send("3")


def test_a_ping_that_falls_due_during_the_upgrade_is_not_lost(polling):
    websocket = polling.probe()
    pinged = False
    deadline = time.monotonic() + 2
    while not pinged and time.monotonic() < deadline:
        pinged = "2" in polling.packets()
    if pinged:
        polling.post("3")
    websocket.send("5")
    assert packet(websocket, heartbeat=False) == "2"
    websocket.send_all("3", "4hello")
    assert packet(websocket) == "4hello"


def test_an_upgraded_session_without_pongs_is_closed(beating):
    polling = Polling(beating)
    session = polling.upgrade()
    assert session.websocket.message() == "2"
    with pytest.raises(Closed):
        while session.websocket.message():
            pass
    until(polling.is_unknown, what="the end of the session")


def test_the_session_ends_during_the_upgrade_if_pongs_do_not_come(beating):
    polling = Polling(beating)
    websocket = polling.probe()
    with pytest.raises(Closed):
        while websocket.message():
            pass
    until(polling.is_unknown, what="the end of the session")


def test_a_close_packet_over_polling_during_the_upgrade_ends_both(polling):
    websocket = polling.probe()
    assert polling.post("1").status == 200
    with pytest.raises(Closed):
        while websocket.message():
            pass
    assert polling.is_unknown()


def test_a_second_poll_during_the_upgrade_is_no_overlap(polling):
    websocket = polling.probe()
    for _ in range(10):
        assert polling.packets() in (["6"], ["2"])  # The ping may fall due.
    websocket.send_all("5", "4hello")
    assert packet(websocket) == "4hello"


# Nothing is lost, doubled or reordered


@pytest.mark.parametrize("fetched", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("path", ["probe first", "burst first"])
def test_a_burst_crosses_the_upgrade_whole_and_in_order(server, fetched, path):
    client = Client(server, "polling").connect()
    polling = client.session
    received = []

    def take():
        for item in polling.packets():
            if item == "2":
                polling.post("3")
            elif item != "6":
                received.append(item)

    websocket = polling.probe() if path == "probe first" else None
    client.emit("burst", 300)
    for _ in range(fetched):
        take()
    websocket = websocket or polling.probe()
    take()
    websocket.send("5")
    websocket.send('42["message","end"]')
    while received[-1:] != ['42["message-back","end"]']:
        received.append(packet(websocket))
    assert received[:-1] == [f'42["burst-item",{number}]' for number in range(300)]


@pytest.mark.parametrize("attempt", range(5))
def test_messages_of_the_client_cross_the_upgrade_in_order(server, attempt):
    client = Client(server, "polling").connect()
    polling = client.session
    for number in range(attempt + 1):
        client.emit("message", number)
    websocket = polling.probe()
    client.emit("message", attempt + 1)
    websocket.send_all("5", f'42["message",{attempt + 2}]')
    client.session = WebSocketSession(server, "/socket.io/", websocket=websocket, sid=polling.sid)
    assert [client.next_event()[1] for _ in range(attempt + 3)] == list(range(attempt + 3))


def test_binary_attachments_that_wait_cross_the_upgrade(server):
    client = Client(server, "polling").connect()
    client.emit("message", b"one", {"two": b"\x02"}, [b""])
    client.session = client.session.upgrade()
    assert client.next_event() == ["message-back", b"one", {"two": b"\x02"}, [b""]]
    assert client.is_alive()


def test_an_ack_asked_for_over_polling_may_come_over_websocket(server):
    client = Client(server, "polling").connect()
    client.emit("ask-me", "x")
    question = client.packet()
    assert question.event == ["question", "x"]
    client.session = client.session.upgrade()
    client.send(f"3{question.id}[42]")
    assert client.next_event() == ["answer", 42]


def test_connect_over_polling_then_answer_over_websocket(server):
    polling = Polling(server, "/socket.io/")
    polling.send('0{"token":"x"}')
    client = Client(server, session=polling.upgrade())
    answer = client.packet()
    assert set(answer.data) == {"sid"}
    assert client.next_event() == ["auth", {"token": "x"}]


def test_upgrade_of_every_session_of_many(server):
    sessions = [Polling(server) for _ in range(8)]
    upgraded = [session.upgrade() for session in sessions]
    for number, session in enumerate(upgraded):
        session.send(str(number))
        assert session.receive() == str(number)


def test_the_websocket_of_an_upgrade_gets_no_second_open_packet(polling):
    websocket = polling.probe()
    websocket.send_all("5", "4first")
    assert packet(websocket) == "4first"


def test_a_poll_with_transport_websocket_is_never_a_poll(polling):
    polling.probe()
    answer = ask(polling.server.port, "GET", target("/engine.io/", "websocket", polling.sid))
    assert (answer.status, answer.json["code"]) == (400, 3)
