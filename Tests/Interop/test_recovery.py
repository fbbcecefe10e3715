"""Connection state recovery, profile `recovery`: 2,000 ms, middlewares skipped. As socket.io-client 4.6 and later use it."""

import time

import pytest
from engine_client import TRANSPORTS, WebSocketSession
from fixture_server import FixtureServer
from socketio_client import ACK, CONNECT, CONNECT_ERROR, EVENT, Client, encode

PROFILE = "recovery"
ALL_TRANSPORTS = pytest.mark.parametrize("transport", TRANSPORTS)


class Recoverable(Client):
    """Keeps pid and offset as socket.io-client does."""

    def __init__(self, server, transport="websocket", before=None, namespace="/", **changes):
        super().__init__(server, transport)
        self.server, self.namespace = server, namespace
        self.sent = changes.pop("auth", {})
        if before:
            self.sent = self.sent | {"pid": before.pid} | ({"offset": before.offset} if before.offset else {})
        self.sent = {name: value for name, value in (self.sent | changes).items() if value is not ...}
        self.offset, self.missed = before and before.offset, []
        self.send(*encode(CONNECT, namespace, data=self.sent or None))
        # The reference sends what was missed in front of the answer to CONNECT; its clients take either order.
        while (packet := self.packet()).type != CONNECT:
            self.missed.append(self._without_offset(packet))
        self.answer = packet.data
        self.sids[namespace], self.pid = self.answer["sid"], self.answer["pid"]
        while (event := self.next())[0] != "auth":
            self.missed.append(event)

    def next(self):
        """The next event without its offset, which is kept."""
        return self._without_offset(self.packet())

    def _without_offset(self, packet):
        assert packet.namespace == self.namespace, packet
        event = packet.event
        if packet.id is None:
            assert isinstance(event[-1], str), event
            self.offset = event.pop()
        return event

    def ask(self, *event):
        """Acknowledged; events that come before it are lost."""
        self._next_id += 1
        self.emit(*event, namespace=self.namespace, id=self._next_id)
        while (packet := self.packet()).type not in (ACK, 6):
            assert packet.event[0] != "never"
        return packet.data

    def whoami(self):
        return self.ask("whoami")[0]

    def cut(self):
        self.session.cut()

    def back(self, transport="websocket", **changes):
        return Recoverable(self.server, transport, before=self, namespace=self.namespace, **changes)


@pytest.fixture
def sender(server):
    return Recoverable(server)


def send(server, room, *values, namespace="/", event="room-emit"):
    """Sends to a room and returns when the server has."""
    sender = Recoverable(server, namespace=namespace)
    for value in values:
        sender.emit(event, room, value, namespace=namespace)
    assert sender.ask("message-with-ack", "sent") == ["sent"]
    sender.cut()


def wait_until_gone(server, client, cut=True):
    """Cuts a connection and returns when the server has seen it."""
    watching = Recoverable(server, namespace=client.namespace)
    watching.ask("join", "observers")
    client.cut()
    event = watching.next()
    while event[:2] != ["peer-disconnected", client.sids[client.namespace]]:
        event = watching.next()
    watching.cut()
    return event[2]


@ALL_TRANSPORTS
def test_connect_is_answered_with_sid_and_pid(server, transport):
    client = Recoverable(server, transport)
    assert set(client.answer) == {"sid", "pid"}
    assert isinstance(client.pid, str) and len(client.pid) >= 16
    assert client.pid != client.answer["sid"]
    assert client.whoami()["recovered"] is False


def test_every_event_carries_an_offset_of_its_own(server):
    client = Recoverable(server)
    offsets = {client.offset}
    for number in range(10):
        client.emit("message", number)
        assert client.next() == ["message-back", number]
        offsets.add(client.offset)
    assert len(offsets) == 11


def test_the_offset_follows_binary_arguments(server):
    client = Recoverable(server)
    client.emit("message", b"x", {"y": b"z"})
    packet = client.packet()
    assert packet.event[:-1] == ["message-back", b"x", {"y": b"z"}]
    assert isinstance(packet.event[-1], str)


def test_a_broadcast_has_the_same_offset_for_everybody(server):
    clients = [Recoverable(server) for _ in range(2)]
    for client in clients:
        client.ask("join", "same offset")
    clients[0].emit("room-emit", "same offset", 1)
    for client in clients:
        assert client.next() == ["room-message", 1]
    assert clients[0].offset == clients[1].offset


def test_acknowledgements_and_questions_carry_no_offset(server):
    client = Recoverable(server)
    assert client.ask("message-with-ack", 1) == [1]
    client.emit("ask-me", "x")
    question = client.packet()
    assert question.id is not None
    assert question.event == ["question", "x"]


@ALL_TRANSPORTS
@pytest.mark.parametrize("again", TRANSPORTS)
def test_what_was_missed_is_sent_again_in_order(server, transport, again):
    client = Recoverable(server, transport)
    wait_until_gone(server, client)
    send(server, client.sid, 1, 2, 3)
    back = client.back(again)
    assert back.answer == client.answer
    assert back.missed == [["room-message", 1], ["room-message", 2], ["room-message", 3]]
    assert back.whoami()["recovered"] is True


def test_replayed_events_have_their_own_offsets(server):
    client, witness = Recoverable(server), Recoverable(server)
    for member in (client, witness):
        member.ask("join", "replayed")
    wait_until_gone(server, client)
    send(server, "replayed", "x")
    assert witness.next() == ["room-message", "x"]
    back = Client(server)
    back.send(*encode(CONNECT, data={"pid": client.pid, "offset": client.offset}))
    packets = sorted((back.packet(), back.packet()), key=lambda packet: packet.type)
    assert packets[0].data == client.answer
    assert packets[1].event == ["room-message", "x", witness.offset]


def test_missed_events_come_in_front_of_the_answer_to_connect(server):
    """Nothing demands it, but the reference does so: whoever was tested against it copes with this order."""
    client = Recoverable(server)
    wait_until_gone(server, client)
    send(server, client.sid, 1, 2)
    back = Client(server, "polling")
    back.send(*encode(CONNECT, data={"pid": client.pid, "offset": client.offset}))
    assert [back.packet().type for _ in range(4)] == [EVENT, EVENT, CONNECT, EVENT]


def test_id_rooms_and_data_are_restored(server):
    client = Recoverable(server)
    for room in ("b", "a"):
        client.ask("join", room)
    client.ask("set-data", {"seat": [1, True]})
    wait_until_gone(server, client)
    back = client.back()
    assert back.whoami() == {"sid": client.sid, "recovered": True, "rooms": ["a", "b"], "data": {"value": {"seat": [1, True]}}}


def test_rooms_are_live_again(server):
    client = Recoverable(server)
    client.ask("join", "live again")
    wait_until_gone(server, client)
    back = client.back()
    back.emit("room-emit", "live again", "x")
    assert back.next() == ["room-message", "x"]
    back.emit("room-emit", back.sid, "own")
    assert back.next() == ["room-message", "own"]


def test_messages_of_its_rooms_are_replayed_and_of_others_not(server):
    client = Recoverable(server)
    client.ask("join", "mine")
    client.ask("join", "left")
    client.ask("leave", "left")
    wait_until_gone(server, client)
    send(server, "mine", 1)
    send(server, "left", 2)
    send(server, "never joined", 3)
    send(server, "mine", 4)
    assert client.back().missed == [["room-message", 1], ["room-message", 4]]


def test_a_message_to_two_of_its_rooms_at_once_is_not_doubled(server):
    client = Recoverable(server)
    client.ask("join", "one of two")
    wait_until_gone(server, client)
    send(server, "one of two", 1)
    send(server, client.sid, 2)
    assert client.back().missed == [["room-message", 1], ["room-message", 2]]


def test_what_was_received_is_not_sent_again(server):
    client = Recoverable(server)
    client.ask("join", "received")
    for number in range(3):
        client.emit("room-emit", "received", number)
        assert client.next() == ["room-message", number]
    wait_until_gone(server, client)
    send(server, "received", 3)
    assert client.back().missed == [["room-message", 3]]


def test_an_older_offset_brings_what_came_after_it(server):
    client = Recoverable(server)
    client.ask("join", "older")
    offsets = []
    for number in range(4):
        client.emit("room-emit", "older", number)
        client.next()
        offsets.append(client.offset)
    wait_until_gone(server, client)
    assert client.back(offset=offsets[1]).missed == [["room-message", 2], ["room-message", 3]]


def test_events_emitted_to_the_socket_itself_are_replayed(server):
    """`message-back` that was sent while nobody read it."""
    client = Recoverable(server)
    offset = client.offset
    client.emit("message", "lost")
    assert client.next() == ["message-back", "lost"]
    wait_until_gone(server, client)
    assert client.back(offset=offset).missed == [["message-back", "lost"]]


def test_binary_is_replayed(server):
    client = Recoverable(server)
    wait_until_gone(server, client)
    send(server, client.sid, b"\x00\xff", {"deep": [b"\x1e"]})
    assert client.back().missed == [["room-message", b"\x00\xff"], ["room-message", {"deep": [b"\x1e"]}]]


@ALL_TRANSPORTS
def test_many_missed_events_are_replayed_in_order(server, transport):
    client = Recoverable(server)
    wait_until_gone(server, client)
    send(server, client.sid, *range(300))
    assert client.back(transport).missed == [["room-message", number] for number in range(300)]


def test_a_broadcast_that_left_the_socket_out_is_not_replayed(server):
    client = Recoverable(server)
    client.ask("join", "left out")
    offset = client.offset
    client.emit("room-broadcast", "left out", "not for me")
    assert client.ask("message-with-ack", 1) == [1]
    wait_until_gone(server, client)
    assert client.back(offset=offset).missed == []


def test_events_with_an_acknowledgement_are_not_replayed(server):
    client = Recoverable(server)
    offset = client.offset
    client.emit("ask-me", 1)
    assert client.next() == ["question", 1]
    wait_until_gone(server, client)
    assert client.back(offset=offset).missed == []


def test_recovery_twice_in_a_row(server):
    client = Recoverable(server)
    client.ask("join", "twice")
    for round in range(3):
        wait_until_gone(server, client)
        send(server, "twice", round)
        client = client.back()
        assert client.missed == [["room-message", round]]
        assert client.whoami()["recovered"] is True


def test_recovery_after_zero_events(server):
    """Before the first event there is no offset to send."""
    client = Client(server)
    client.send("0")
    answer = client.packet().data
    client.session.cut()
    back = Client(server)
    back.send(*encode(CONNECT, data={"pid": answer["pid"]}))
    while (restored := back.packet()).type != CONNECT:
        assert restored.event[0] == "auth"  # Emitted before the server saw the cut.
    assert restored.data == answer


def test_recovery_while_the_old_connection_still_looks_open(server):
    client = Recoverable(server)
    client.ask("join", "half open")
    back = client.back()
    assert back.answer == client.answer
    assert back.whoami() == {"sid": client.sid, "recovered": True, "rooms": ["half open"], "data": {}}
    back.emit("room-emit", "half open", "x")
    assert back.next() == ["room-message", "x"]
    client.wait_until_closed()
    assert back.ask("message-with-ack", "alive") == ["alive"]


def test_what_a_half_open_connection_was_sent_is_replayed(server):
    client = Recoverable(server)
    send(server, client.sid, "into the void")
    assert client.back().missed == [["room-message", "into the void"]]


def test_recovery_in_a_namespace(server):
    client = Recoverable(server, namespace="/custom")
    wait_until_gone(server, client)
    send(server, client.sids["/custom"], 1, namespace="/custom")
    back = client.back()
    assert back.answer == client.answer
    assert back.missed == [["room-message", 1]]


def test_recovery_in_a_namespace_by_pattern(server):
    client = Recoverable(server, namespace="/dynamic-4")
    wait_until_gone(server, client)
    send(server, client.sids["/dynamic-4"], 1, namespace="/dynamic-4")
    assert client.back().missed == [["room-message", 1]]


def test_middlewares_are_skipped_for_who_recovers(server):
    client = Recoverable(server, namespace="/denied", auth={"token": "letmein"})
    client.cut()
    back = client.back()
    assert back.answer == client.answer


def test_middlewares_are_asked_if_there_is_nothing_to_recover(server):
    asking = Client(server)
    asking.send(*encode(CONNECT, "/denied", data={"pid": "unknown", "offset": "unknown"}))
    assert asking.packet().type == CONNECT_ERROR


# What ends a session for good


def fresh(client, back):
    assert back.answer["sid"] != client.answer["sid"]
    assert back.answer["pid"] != client.answer["pid"]
    assert back.missed == []
    assert back.whoami() == {"sid": back.answer["sid"], "recovered": False, "rooms": [], "data": {}}


def test_who_has_taken_leave_is_not_recovered(server):
    client = Recoverable(server)
    client.send("1")
    assert client.session.websocket.message() == "2"
    client.cut()
    fresh(client, client.back())


@pytest.mark.parametrize("kick", ["kick", "kick-close"])
def test_who_was_kicked_is_not_recovered(server, kick):
    client = Recoverable(server)
    client.emit(kick)
    assert client.session.receive() == "1"
    client.cut()
    fresh(client, client.back())


def test_a_session_is_forgotten_after_two_seconds(server):
    client = Recoverable(server)
    wait_until_gone(server, client)
    time.sleep(2.3)  # What is tested is time passing.
    fresh(client, client.back())


def test_a_session_is_kept_for_nearly_two_seconds(server):
    client = Recoverable(server)
    client.ask("join", "nearly")
    wait_until_gone(server, client)
    time.sleep(1.2)  # As above.
    assert client.back().answer == client.answer


def test_the_time_begins_with_the_disconnection(server):
    client = Recoverable(server)
    raw = client.session.websocket
    end = time.monotonic() + 2.3
    while time.monotonic() < end:
        assert raw.message() == "2"
        raw.send("3")
    client.cut()
    assert client.back().answer == client.answer


@pytest.mark.parametrize("pid", [
    "unknown", "", 1, None, True, [], {}, ["pid"], "a" * 100_000, "é", "../..", "pid\x00", 1e300,
], ids=lambda pid: repr(pid)[:20])
def test_an_unusable_pid_quietly_gives_a_fresh_socket(server, pid):
    client = Recoverable(server)
    client.cut()
    fresh(client, client.back(pid=pid))


@pytest.mark.parametrize("offset", [
    "unknown", 1, True, [], {}, ["x"], "a" * 100_000, "é", "0-0", "-1", "99999999999999999999-0", "*", "$", ">", "+",
], ids=lambda offset: repr(offset)[:20])
def test_an_unusable_offset_quietly_gives_a_fresh_socket(server, offset):
    client = Recoverable(server)
    client.cut()
    back = client.back(offset=offset)
    fresh(client, back)


def test_a_pid_of_another_namespace_is_unusable(server):
    client = Recoverable(server)
    client.cut()
    back = Recoverable(server, namespace="/custom", pid=client.pid, offset=client.offset)
    assert back.answer["sid"] != client.answer["sid"]
    assert back.answer["pid"] != client.answer["pid"]


def test_the_sid_is_no_pid(server):
    client = Recoverable(server)
    client.cut()
    fresh(client, client.back(pid=client.sid))


def test_a_fresh_socket_may_be_recovered_in_its_turn(server):
    client = Recoverable(server, pid="unknown", offset="unknown")
    wait_until_gone(server, client)
    send(server, client.sid, 1)
    assert client.back().missed == [["room-message", 1]]


def test_a_session_is_recovered_once_not_by_two(server):
    client = Recoverable(server)
    client.cut()
    first = client.back()
    assert first.answer == client.answer
    second = client.back()
    assert second.answer["sid"] == client.answer["sid"]
    first.wait_until_closed()
    assert second.ask("message-with-ack", "alive") == ["alive"]


def test_a_ping_timeout_may_be_recovered_from():
    with FixtureServer(PROFILE) as server:
        client = Recoverable(server)
        raw = client.session.websocket
        assert raw.message() == "2"
        raw.close_code()
        assert client.back().answer == client.answer


def test_a_close_packet_may_be_recovered_from(server):
    client = Recoverable(server)
    client.session.websocket.send("1")
    client.session.wait_until_closed()
    assert client.back().answer == client.answer


def test_observers_hear_of_the_disconnection_at_once(server):
    client = Recoverable(server)
    assert wait_until_gone(server, client) == "transport close"


def test_another_auth_may_come_with_the_recovery(server):
    client = Recoverable(server, auth={"token": 1})
    client.cut()
    assert client.back(auth={"token": 2}).answer == client.answer


def test_without_pid_a_returning_client_is_a_new_one(server):
    client = Recoverable(server)
    client.ask("join", "new one")
    client.cut()
    again = Recoverable(server)
    assert again.answer["sid"] != client.answer["sid"]
    assert again.whoami()["rooms"] == []


def test_an_event_after_recovery_is_handled_as_before(server):
    client = Recoverable(server)
    client.cut()
    back = client.back("upgraded")
    back.emit("message", 1)
    assert back.next() == ["message-back", 1]
    assert back.ask("message-with-ack", b"x") == [b"x"]
    back.emit("burst", 50)
    assert [back.next() for _ in range(50)] == [["burst-item", number] for number in range(50)]


def test_sessions_of_many_are_kept_apart(server):
    clients = [Recoverable(server) for _ in range(10)]
    for number, client in enumerate(clients):
        client.ask("set-data", number)
        client.cut()
    for number, client in enumerate(clients):
        back = client.back()
        assert back.answer == client.answer
        assert back.whoami()["data"] == {"value": number}


def test_the_bare_engine_knows_nothing_of_it(server):
    session = WebSocketSession(server)
    session.send("x")
    assert session.receive() == "x"
