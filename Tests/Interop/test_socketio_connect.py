"""Socket.IO protocol 5, "Connection to a namespace", "Disconnection"; the namespaces of the fixture document."""

import time

import pytest
from engine_client import TRANSPORTS, Polling, WebSocketSession
from socketio_client import CONNECT, CONNECT_ERROR, Client, client

ALL_TRANSPORTS = pytest.mark.parametrize("transport", TRANSPORTS)


@ALL_TRANSPORTS
@pytest.mark.parametrize("namespace", ["/", "/custom", "/dynamic-1", "/dynamic-20261121"])
@pytest.mark.parametrize("auth", [None, {}, {"token": "123"}, {"nested": {"a": [1, 2.5, None, True, "é😀"]}}], ids=str)
def test_connect_is_answered_with_a_sid_and_auth_is_the_payload(server, transport, namespace, auth):
    joined = client(server, transport, namespace, auth)
    assert set(joined.connected[namespace]) == {"sid"}
    assert isinstance(joined.sids[namespace], str)
    assert joined.is_alive(namespace)


def _exchange(server, message, count, session=None):
    session = session or WebSocketSession(server, "/socket.io/")
    session.send(message)
    return [session.receive() for _ in range(count)]


def test_the_text_of_connect_and_auth(server):
    answer, auth = _exchange(server, "0", 2)
    assert answer.startswith('0{"sid":"')
    assert auth == '2["auth",{}]'


def test_a_namespace_may_come_without_its_comma_and_goes_with_it(server):
    answer, auth = _exchange(server, "0/custom", 2)
    assert answer.startswith('0/custom,{"sid":"')
    assert auth == '2/custom,["auth",{}]'


def test_the_main_namespace_may_be_written_out(server):
    answer, auth = _exchange(server, "0/,", 2)
    assert answer.startswith('0{"sid":"') or answer.startswith('0/,{"sid":"')
    assert auth.endswith('["auth",{}]')


def test_the_auth_payload_is_passed_on_as_it_was(server):
    _, auth = _exchange(server, '0{"a":1,"b":1.5,"c":true,"d":[],"e":{},"f":null}', 2)
    assert auth == '2["auth",{"a":1,"b":1.5,"c":true,"d":[],"e":{},"f":null}]'


def test_the_socket_id_is_not_the_session_id(server):
    session = WebSocketSession(server, "/socket.io/")
    joined = Client(server, session=session).connect()
    assert joined.sid != session.sid


def test_each_namespace_has_a_socket_id_of_its_own(server):
    joined = client(server).connect("/custom").connect("/dynamic-7")
    assert len(set(joined.sids.values())) == 3


@ALL_TRANSPORTS
@pytest.mark.parametrize("namespace", [
    "/random", "/customs", "/Custom", "/custom/", "/dynamic-", "/dynamic-a", "/dynamic-1a", "/dynamic--1", "/dynamic",
    "/dynamic-1/", "/x/dynamic-1", "/dynamic-١", "/é",
])
def test_an_unknown_namespace_is_refused_and_the_connection_stays(server, transport, namespace):
    asking = Client(server, transport)
    asking.send(f"0{namespace},")
    refusal = asking.packet()
    assert (refusal.type, refusal.namespace, refusal.id) == (CONNECT_ERROR, namespace, None)
    assert refusal.data == {"message": "Invalid namespace"}
    assert asking.connect().is_alive()


def test_the_text_of_a_refusal(server):
    assert _exchange(server, "0/random", 1) == ['4/random,{"message":"Invalid namespace"}']


@ALL_TRANSPORTS
@pytest.mark.parametrize("auth", [
    None, {}, {"token": "wrong"}, {"token": None}, {"token": ["letmein"]}, {"token": "letmein "}, {"Token": "letmein"},
    {"auth": {"token": "letmein"}},
], ids=str)
def test_a_middleware_refuses_with_message_and_data(server, transport, auth):
    asking = Client(server, transport)
    asking.send("0/denied," + ("" if auth is None else __import__("json").dumps(auth)))
    refusal = asking.packet()
    assert (refusal.type, refusal.namespace) == (CONNECT_ERROR, "/denied")
    assert refusal.data == {"message": "Not authorized", "data": {"code": "E_DENIED"}}
    assert asking.connect().is_alive()


@ALL_TRANSPORTS
def test_a_middleware_admits_who_has_the_token(server, transport):
    assert client(server, transport, "/denied", {"token": "letmein", "more": 1}).is_alive("/denied")


def test_who_was_refused_may_try_again(server):
    asking = Client(server)
    for _ in range(3):
        asking.send("0/denied,{}")
        assert asking.packet().type == CONNECT_ERROR
    asking.connect("/denied", {"token": "letmein"})
    assert asking.is_alive("/denied")


def test_events_go_to_the_namespace_they_name(server):
    joined = client(server).connect("/custom").connect("/dynamic-1").connect("/dynamic-2")
    for namespace in joined.sids:
        joined.emit("message", namespace, namespace=namespace)
    for namespace in joined.sids:
        assert joined.next_event(namespace) == ["message-back", namespace]


def test_namespaces_joined_in_one_payload(server):
    session = Polling(server, "/socket.io/")
    joined = Client(server, session=session)
    joined.send("0", "0/custom,", '0/dynamic-5,{"a":1}')
    packets = [joined.packet() for _ in range(6)]
    by_namespace = {}
    for packet in packets:
        by_namespace.setdefault(packet.namespace, []).append(packet)
    assert set(by_namespace) == {"/", "/custom", "/dynamic-5"}
    for answer, auth in by_namespace.values():
        assert answer.type == CONNECT
        assert auth.event[0] == "auth"


# connectTimeout


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_connection_that_joins_nothing_is_closed_after_connect_timeout(server, transport):
    before = time.monotonic()
    idle = Client(server, transport)
    assert idle.wait_until_closed() == []
    assert 0.9 <= time.monotonic() - before < 15


def test_a_refused_namespace_does_not_stop_the_connect_timeout(server):
    asking = Client(server)
    asking.send("0/random,")
    assert asking.packet().type == CONNECT_ERROR
    assert asking.wait_until_closed() == []


def test_a_connection_that_joined_is_not_closed_by_connect_timeout(server):
    joined = client(server)
    before = time.monotonic()
    while time.monotonic() - before < 1.3:
        assert joined.session.websocket.message() == "2"
        joined.session.websocket.send("3")
    assert joined.is_alive()


def test_joining_any_namespace_counts(server):
    joined = client(server, namespace="/custom")
    before = time.monotonic()
    while time.monotonic() - before < 1.3:
        assert joined.session.websocket.message() == "2"
        joined.session.websocket.send("3")
    assert joined.is_alive("/custom")


# Disconnection


@ALL_TRANSPORTS
def test_a_disconnect_packet_leaves_one_namespace_and_the_connection_stays(server, transport):
    joined = client(server, transport).connect("/custom")
    joined.send("1/custom,")
    assert joined.is_alive()
    joined.connect("/custom")
    assert joined.is_alive("/custom")


@pytest.mark.parametrize("packet", ["1/custom,", "1/custom"])
def test_a_disconnect_packet_may_come_without_its_comma(server, packet):
    joined = client(server).connect("/custom")
    joined.send(packet)
    joined.connect("/custom")
    assert joined.is_alive()


def test_a_disconnect_packet_is_not_answered(server):
    joined = client(server).connect("/custom")
    joined.send("1/custom,")
    joined.emit("message", "after")
    assert joined.next_event() == ["message-back", "after"]


def test_the_connection_stays_when_the_last_namespace_is_left(server):
    joined = client(server)
    joined.send("1")
    raw = joined.session.websocket
    for _ in range(3):
        assert raw.message() == "2"
        raw.send("3")
    assert joined.connect().is_alive()


def test_a_namespace_joined_again_has_a_new_sid(server):
    joined = client(server)
    first = joined.sid
    joined.send("1")
    joined.connect()
    assert joined.sid != first


@ALL_TRANSPORTS
@pytest.mark.parametrize("namespace", ["/", "/custom", "/dynamic-3"])
def test_kick_is_a_disconnect_packet_and_the_connection_stays(server, transport, namespace):
    joined = client(server, transport).connect("/denied", {"token": "letmein"})
    if namespace != "/":
        joined.connect(namespace)
    joined.emit("kick", namespace=namespace)
    assert joined.session.receive() == ("1" if namespace == "/" else f"1{namespace},")
    assert joined.is_alive("/denied")
    joined.connect(namespace)
    assert joined.is_alive(namespace)


@ALL_TRANSPORTS
def test_kick_close_disconnects_all_namespaces_and_closes(server, transport):
    joined = client(server, transport).connect("/custom")
    joined.emit("kick-close")
    assert sorted(joined.wait_until_closed()) == ["1", "1/custom,"]


def test_the_close_packet_comes_in_a_poll_of_its_own(server):
    """socket.io-client hands messages on a little later: beside a close packet they would come too late."""
    joined = client(server, "polling")
    joined.emit("kick-close")
    assert joined.session.packets() == ["41"]
    assert joined.session.packets()[-1] == "1"
    assert joined.session.is_unknown()


def test_an_event_after_kick_ends_the_connection(server):
    joined = client(server).connect("/custom")
    joined.emit("kick", namespace="/custom")
    assert joined.session.receive() == "1/custom,"
    joined.emit("message", "late", namespace="/custom")
    joined.wait_until_closed()
