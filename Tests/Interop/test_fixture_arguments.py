"""The fixture's own arguments: profile `bench`, `--jwt-secret`, `--threads`, `--redis-url`, and its end."""

import os
import signal
import socket
import time

import jwt
import pytest
from engine_client import TRANSPORTS, Polling, WebSocketSession
from fixture_server import FixtureServer
from socketio_client import CONNECT_ERROR, Client, client, encode, observer

ALL_TRANSPORTS = pytest.mark.parametrize("transport", TRANSPORTS)
SECRET = "a secret of at least thirty-two bytes"
REDIS = os.environ.get("HOLDFAST_TEST_REDIS_URL")


@pytest.fixture(scope="module")
def bench():
    with FixtureServer("bench") as server:
        yield server


@pytest.fixture(scope="module")
def guarded():
    with FixtureServer("default", "--jwt-secret", SECRET) as server:
        yield server


@pytest.fixture(scope="module")
def threaded():
    with FixtureServer("bench", "--threads", "4") as server:
        yield server


@pytest.fixture(scope="module")
def nodes():
    if not REDIS:
        pytest.skip("HOLDFAST_TEST_REDIS_URL names no Redis")
    with FixtureServer("bench", "--redis-url", REDIS) as first, FixtureServer("bench", "--redis-url", REDIS) as second:
        yield first, second


def test_bench_has_slow_heartbeats(bench):
    handshake = Polling(bench).handshake
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (25_000, 20_000)


def test_bench_does_not_close_who_joins_late(bench):
    idle = Client(bench)
    time.sleep(1.2)  # Longer than the default profile's connectTimeout.
    assert idle.connect().is_alive()


def test_bench_answers_seat(bench):
    assert client(bench).call("seat", {"event": "e", "seats": [1]}) == [{"ok": True}]


@ALL_TRANSPORTS
@pytest.mark.parametrize("auth", [None, {}, {"token": "x"}, {"token": jwt.encode({"sub": "a"}, "another secret, just as long as it is")},
                                  {"token": jwt.encode({"exp": 1}, SECRET)}, {"token": 1}, {"token": None}], ids=lambda auth: str(auth)[:24])
def test_without_a_valid_token_the_main_namespace_is_closed(guarded, transport, auth):
    asking = Client(guarded, transport)
    asking.send(*encode(0, data=auth))
    refusal = asking.packet()
    assert refusal.type == CONNECT_ERROR
    assert isinstance(refusal.data["message"], str)


@ALL_TRANSPORTS
def test_a_valid_token_opens_it(guarded, transport):
    token = jwt.encode({"sub": "ada", "exp": int(time.time()) + 60}, SECRET)
    assert client(guarded, transport, auth={"token": token}).is_alive()


def test_a_token_without_alg_is_refused(guarded):
    asking = Client(guarded)
    asking.send(*encode(0, data={"token": jwt.encode({"sub": "a"}, None, algorithm="none")}))
    assert asking.packet().type == CONNECT_ERROR


def test_other_namespaces_ask_for_no_token(guarded):
    assert client(guarded, namespace="/custom").is_alive("/custom")


@ALL_TRANSPORTS
def test_sockets_of_several_loops_share_rooms(threaded, transport):
    members = [client(threaded, transport) for _ in range(8)]
    for member in members:
        member.call("join", f"loops-{transport}")
    members[0].emit("room-emit", f"loops-{transport}", b"\x01", "x")
    for member in members:
        assert member.next_event() == ["room-message", b"\x01", "x"]


def test_requests_of_a_session_come_on_any_loop(threaded):
    session = Polling(threaded)
    for number in range(20):  # Each request has a connection of its own, and so a loop by turns.
        session.send(str(number))
        assert session.receive() == str(number)
    session = session.upgrade()
    session.send("up")
    assert session.receive() == "up"


@pytest.mark.parametrize("number", range(10))
def test_an_upgrade_whose_websocket_is_on_another_loop_loses_nothing(threaded, number):
    session = Polling(threaded)
    session.send(*map(str, range(40)))
    session = session.upgrade()
    session.send("end")
    assert [session.receive() for _ in range(41)] == [*map(str, range(40)), "end"]


def test_an_overlap_of_polls_on_two_loops_is_seen(threaded):
    session = Polling(threaded)
    with session.start_poll() as first:
        assert first.is_waiting(0.05)
        assert session.poll().status == 400
        assert first.response().text == "1"


# Several fixtures through Redis


@ALL_TRANSPORTS
def test_rooms_reach_over_nodes(nodes, transport):
    here, there = client(nodes[0], transport), client(nodes[1], transport)
    room = f"nodes-{transport}"
    for member in (here, there):
        member.call("join", room)
    here.emit("room-emit", room, 1, {"a": [True]}, b"\x00\xff")
    for member in (here, there):
        assert member.next_event() == ["room-message", 1, {"a": [True]}, b"\x00\xff"]
    there.emit("room-broadcast", room, "back")
    assert here.next_event() == ["room-message", "back"]
    assert there.is_alive()


def test_a_socket_s_id_is_a_room_on_every_node(nodes):
    here, there = client(nodes[0]), client(nodes[1])
    here.emit("room-emit", there.sid, "psst")
    assert there.next_event() == ["room-message", "psst"]


def test_messages_of_another_node_keep_their_order(nodes):
    here, there = client(nodes[0]), client(nodes[1])
    there.call("join", "order over nodes")
    here.send(*(f'2["room-emit","order over nodes",{number}]' for number in range(200)))
    assert [there.next_event()[1] for _ in range(200)] == list(range(200))


def test_namespaces_are_apart_over_nodes(nodes):
    here, there = client(nodes[0], namespace="/custom"), client(nodes[1])
    there.call("join", "apart over nodes")
    here.emit("room-emit", "apart over nodes", "x", namespace="/custom")
    assert there.is_alive()


def test_who_left_hears_nothing_from_another_node(nodes):
    here, there = client(nodes[0]), client(nodes[1])
    for member in (here, there):
        member.call("join", "left over nodes")
    there.call("leave", "left over nodes")
    here.emit("room-emit", "left over nodes", "x")
    assert here.next_event() == ["room-message", "x"]
    assert there.is_alive()


def test_observers_of_another_node_hear_of_a_disconnection(nodes):
    watching = observer(nodes[0], "/dynamic-90")
    member = client(nodes[1], namespace="/dynamic-90")
    member.session.cut()
    assert watching.next_event("/dynamic-90") == ["peer-disconnected", member.sids["/dynamic-90"], "transport close"]


# Its end


def test_sigterm_ends_it_though_clients_are_connected():
    with FixtureServer() as server:
        polling, websocket, waiting = Polling(server), WebSocketSession(server), Polling(server)
        poll = waiting.start_poll()
        assert poll.is_waiting(0.02)
        assert polling.sid and websocket.sid
        poll_socket = poll.socket
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=15) == 0
        assert isinstance(poll_socket, socket.socket)
        server.start()


def test_it_listens_again_on_the_port_it_left():
    with FixtureServer() as server:
        assert client(server).is_alive()
        server.kill()
        server.start()
        assert client(server).is_alive()
