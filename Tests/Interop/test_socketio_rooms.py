"""Rooms, state and the reasons of a disconnection, as the fixture document has them."""

import pytest
from engine_client import TRANSPORTS
from socketio_client import Client, client, observer

# Heartbeats of 25 s: one thread reads several clients in turn, and none may be taken for gone meanwhile.
PROFILE = "bench"
ALL_TRANSPORTS = pytest.mark.parametrize("transport", TRANSPORTS)


@ALL_TRANSPORTS
def test_room_emit_reaches_all_members_the_sender_included(server, transport):
    members = [client(server, transport) for _ in range(3)]
    for member in members:
        assert member.call("join", f"all-{transport}") == []
    members[0].emit("room-emit", f"all-{transport}", 1, {"a": True})
    for member in members:
        assert member.next_event() == ["room-message", 1, {"a": True}]


@ALL_TRANSPORTS
def test_room_broadcast_leaves_the_sender_out(server, transport):
    sender, other = client(server, transport), client(server, transport)
    for member in (sender, other):
        member.call("join", f"others-{transport}")
    sender.emit("room-broadcast", f"others-{transport}", "x")
    assert other.next_event() == ["room-message", "x"]
    assert sender.is_alive()


@ALL_TRANSPORTS
def test_who_is_not_in_a_room_hears_nothing(server, transport):
    member, stranger = client(server, transport), client(server, transport)
    member.call("join", f"closed-{transport}")
    stranger.emit("room-emit", f"closed-{transport}", "x")
    assert member.next_event() == ["room-message", "x"]
    assert stranger.is_alive()


def test_who_left_a_room_hears_nothing(server):
    sender, leaver = client(server), client(server)
    for member in (sender, leaver):
        member.call("join", "left")
    assert leaver.call("leave", "left") == []
    sender.emit("room-emit", "left", "x")
    assert sender.next_event() == ["room-message", "x"]
    assert leaver.is_alive()


def test_a_member_twice_is_a_member_once(server):
    member = client(server)
    member.call("join", "twice")
    member.call("join", "twice")
    member.emit("room-emit", "twice", "x")
    assert member.next_event() == ["room-message", "x"]
    assert member.is_alive()
    member.call("leave", "twice")
    member.emit("room-emit", "twice", "x")
    assert member.is_alive()


def test_leaving_a_room_one_is_not_in_is_acknowledged(server):
    assert client(server).call("leave", "never joined") == []


def test_a_socket_s_own_id_is_a_room(server):
    first, second = client(server), client(server)
    first.emit("room-emit", second.sid, "psst")
    assert second.next_event() == ["room-message", "psst"]
    second.emit("room-emit", second.sid, "me")
    assert second.next_event() == ["room-message", "me"]
    assert first.is_alive()


def test_the_id_of_another_namespace_is_no_room(server):
    both = client(server).connect("/custom")
    both.emit("room-emit", both.sids["/custom"], "x")
    assert both.is_alive()
    assert both.is_alive("/custom")


def test_an_empty_room_is_no_error(server):
    sender = client(server)
    sender.emit("room-emit", "nobody is here", "x")
    assert sender.is_alive()


@pytest.mark.parametrize(("here", "there"), [("/", "/custom"), ("/dynamic-1", "/dynamic-2"), ("/custom", "/dynamic-1")])
def test_rooms_of_namespaces_are_apart(server, here, there):
    first, second = client(server, namespace=here), client(server, namespace=there)
    first.call("join", "apart", namespace=here)
    second.call("join", "apart", namespace=there)
    first.emit("room-emit", "apart", "x", namespace=here)
    assert first.next_event(here) == ["room-message", "x"]
    assert second.is_alive(there)


@ALL_TRANSPORTS
def test_binary_reaches_a_room(server, transport):
    members = [client(server, name) for name in (transport, "websocket", "polling")]
    for member in members:
        member.call("join", f"binary-{transport}")
    members[0].emit("room-emit", f"binary-{transport}", b"\x00\xff", {"deep": [b"\x1e"]}, 1)
    for member in members:
        assert member.next_event() == ["room-message", b"\x00\xff", {"deep": [b"\x1e"]}, 1]


@pytest.mark.parametrize("room", ["", "é 좌석 😀", "a" * 1000, "a:b#c", "/", "0", "__proto__", "*", '"', "observers "])
def test_any_string_is_a_room(server, room):
    member = client(server)
    assert member.call("join", room) == []
    member.emit("room-emit", room, "x")
    assert member.next_event() == ["room-message", "x"]


def test_messages_of_a_room_keep_their_order_for_everybody(server):
    members = {name: client(server, name) for name in TRANSPORTS}
    for member in members.values():
        member.call("join", "order")
    members["websocket"].send(*(f'2["room-emit","order",{number}]' for number in range(60)))
    for member in members.values():
        assert [member.next_event()[1] for _ in range(60)] == list(range(60))


def test_a_message_sent_after_the_ack_of_join_arrives(server):
    member = client(server)
    for number in range(20):
        member.call("join", f"after {number}")
        member.emit("room-emit", f"after {number}", number)
        assert member.next_event() == ["room-message", number]


def test_handlers_of_a_socket_run_in_order_of_arrival(server):
    member = client(server)
    member.send('2["join","in order"]', '2["room-emit","in order",1]', '2["leave","in order"]',
                '2["room-emit","in order",2]', '2["message","end"]')
    assert member.next_event() == ["room-message", 1]
    assert member.next_event() == ["message-back", "end"]


def test_rooms_are_left_by_disconnecting(server):
    member, other = client(server), client(server)
    member.call("join", "gone")
    member.send("1")
    member.connect()
    other.emit("room-emit", "gone", "x")
    assert other.is_alive()
    assert member.call("whoami")[0]["rooms"] == []


# whoami and set-data


@ALL_TRANSPORTS
def test_whoami_tells_sid_rooms_and_data(server, transport):
    member = client(server, transport)
    assert member.call("whoami") == [{"sid": member.sid, "recovered": False, "rooms": [], "data": {}}]
    for room in ("b", "a", "é", "c"):
        member.call("join", room)
    member.call("leave", "c")
    assert member.call("set-data", {"seat": [1, "A"], "ok": True}) == []
    assert member.call("whoami") == [
        {"sid": member.sid, "recovered": False, "rooms": ["a", "b", "é"], "data": {"value": {"seat": [1, "A"], "ok": True}}}
    ]


@pytest.mark.parametrize("value", [1, 0, True, False, None, "text", "é😀", [], {}, [1, [2]], 1.5], ids=repr)
def test_set_data_keeps_any_value(server, value):
    member = client(server)
    member.call("set-data", value)
    answer = member.call("whoami")[0]["data"]
    assert answer == {"value": value}
    assert type(answer["value"]) is type(value)


def test_data_belongs_to_one_socket_of_one_namespace(server):
    member = client(server).connect("/custom")
    member.call("set-data", "main")
    assert member.call("whoami", namespace="/custom")[0]["data"] == {}
    assert member.call("whoami", namespace="/custom")[0]["sid"] == member.sids["/custom"]
    assert client(server).call("whoami")[0]["data"] == {}


def test_data_is_gone_after_joining_again(server):
    member = client(server)
    member.call("set-data", 1)
    member.send("1")
    member.connect()
    assert member.call("whoami")[0]["data"] == {}


def test_set_data_without_a_value_is_acknowledged(server):
    member = client(server)
    assert member.call("set-data") == []
    assert member.is_alive()


# Reasons of a disconnection


def _disconnect_packet(member):
    member.send("1")


def _kick(member):
    member.emit("kick")


def _kick_close(member):
    member.emit("kick-close")


def _close_packet(member):
    session = member.session
    session.websocket.send("1") if hasattr(session, "websocket") else session.post("1")


def _cut(member):
    member.session.cut()


def _fall_silent(member):
    """Answers no ping any more."""


def _parse_error(member):
    session = member.session
    session.websocket.send("abc") if hasattr(session, "websocket") else session.post("abc")


def _bad_packet(member):
    member.send("2{}")


REASONS = {
    "client namespace disconnect": _disconnect_packet, "server namespace disconnect": _kick, "transport close": _close_packet,
    "ping timeout": _fall_silent, "parse error": _parse_error,
}


@ALL_TRANSPORTS
@pytest.mark.parametrize("reason", REASONS)
def test_observers_hear_who_left_and_why(beating, transport, reason):
    watching = observer(beating, "/dynamic-77")
    member = client(beating, transport, "/dynamic-77")
    main = {"client namespace disconnect": "1/dynamic-77,", "server namespace disconnect": '2/dynamic-77,["kick"]'}
    if reason in main:
        member.send(main[reason])
    else:
        REASONS[reason](member)
    assert watching.next_event("/dynamic-77") == ["peer-disconnected", member.sids["/dynamic-77"], reason]


@ALL_TRANSPORTS
def test_a_cut_connection_is_a_transport_close(server, transport):
    watching = observer(server)
    member = client(server, transport)
    member.session.cut()
    name, sid, reason = watching.next_event()
    assert (name, sid) == ("peer-disconnected", member.sid)
    assert reason in (("transport close", "transport error") if transport == "polling" else ("transport close",))


@ALL_TRANSPORTS
def test_kick_close_is_told_to_observers(server, transport):
    watching = observer(server)
    member = client(server, transport)
    member.emit("kick-close")
    name, sid, reason = watching.next_event()
    assert (name, sid) == ("peer-disconnected", member.sid)
    assert reason == "server namespace disconnect"


def test_an_invalid_socketio_packet_is_told_to_observers(server):
    watching = observer(server)
    member = client(server)
    member.send("2{}")
    name, sid, reason = watching.next_event()
    assert (name, sid) == ("peer-disconnected", member.sid)
    assert reason in ("parse error", "forced close")


def test_each_disconnection_is_told_once(server):
    watching = observer(server)
    member = client(server)
    member.send("1")
    member.session.cut()
    assert watching.next_event() == ["peer-disconnected", member.sid, "client namespace disconnect"]
    assert watching.is_alive()


def test_each_namespace_of_a_cut_connection_is_told(server):
    watching = observer(server).connect("/custom")
    watching.call("join", "observers", namespace="/custom")
    member = client(server).connect("/custom")
    member.session.cut()
    packets = [watching.packet(), watching.packet()]
    assert {(packet.namespace, packet.event[1]) for packet in packets} == set(member.sids.items())
    assert {packet.event[2] for packet in packets} == {"transport close"}


def test_who_was_refused_is_not_told_to_observers(server):
    watching = observer(server, "/dynamic-78")
    asking = Client(server)
    asking.send("0/denied,{}")
    asking.packet()
    asking.session.cut()
    assert watching.is_alive("/dynamic-78")


def test_an_observer_does_not_hear_of_itself(server):
    watching = observer(server)
    watching.send("1")
    watching.connect()
    assert watching.is_alive()
