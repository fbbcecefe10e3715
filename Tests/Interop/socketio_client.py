"""Socket.IO packets over an Engine.IO session of either transport."""

import json
import re
from dataclasses import dataclass, field

from engine_client import TRANSPORTS, WebSocketSession, drain

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
_PACKET = re.compile(r"([0-6])(?:(\d+)-)?(?:(/[^,]*),)?(\d+)?(.*)", re.DOTALL)


@dataclass
class Packet:
    type: int
    namespace: str = "/"
    id: int | None = None
    text: str = ""
    attachments: list = field(default_factory=list)
    declared: int | None = None

    @property
    def data(self):
        """The payload, with attachments put in their places."""
        return _fill(json.loads(self.text), self.attachments) if self.text else None

    @property
    def event(self):
        assert self.type in (EVENT, BINARY_EVENT), self
        return self.data


def _fill(value, attachments):
    if isinstance(value, list):
        return [_fill(item, attachments) for item in value]
    if isinstance(value, dict):
        if value.get("_placeholder") is True and attachments:
            return attachments[value["num"]]
        return {key: _fill(item, attachments) for key, item in value.items()}
    return value


def _take_out(value, attachments):
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, (list, tuple)):
        return [_take_out(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _take_out(item, attachments) for key, item in value.items()}
    return value


def encode(kind, namespace="/", id=None, data=None):
    """The messages of a packet: its text, then its attachments."""
    attachments = []
    body = "" if data is None else json.dumps(_take_out(data, attachments), separators=(",", ":"), ensure_ascii=False)
    if attachments:
        kind = {EVENT: BINARY_EVENT, ACK: BINARY_ACK}[kind]
    count = f"{len(attachments)}-" if attachments else ""
    name = "" if namespace == "/" else namespace + ","
    return [f"{kind}{count}{name}{'' if id is None else id}{body}", *attachments]


class Client:
    """One connection to `/socket.io/`; several namespaces may be joined on it."""

    def __init__(self, server, transport="websocket", session=None, **query):
        self.session = session or TRANSPORTS[transport](server, "/socket.io/", **query)
        self.sids, self.connected = {}, {}
        self._next_id = 0

    def send(self, *messages):
        self.session.send(*messages)

    def packet(self):
        message = self.session.receive()
        assert isinstance(message, str), message
        kind, count, namespace, id, body = _PACKET.fullmatch(message).groups()
        packet = Packet(int(kind), namespace or "/", None if id is None else int(id), body)
        if count is not None:
            packet.declared = int(count)
            packet.attachments = [self.session.receive() for _ in range(packet.declared)]
        return packet

    def connect(self, namespace="/", auth=None):
        """Joins; the answer to CONNECT, after the event `auth` came."""
        self.send(*encode(CONNECT, namespace, data=auth))
        answer = self.packet()
        assert (answer.type, answer.namespace) == (CONNECT, namespace), answer
        self.sids[namespace] = answer.data["sid"]
        self.connected[namespace] = answer.data
        assert self.packet().event == ["auth", auth or {}]
        return self

    @property
    def sid(self):
        return self.sids["/"]

    def emit(self, *event, namespace="/", id=None):
        self.send(*encode(EVENT, namespace, id, list(event)))

    def call(self, *event, namespace="/"):
        """Emits and waits for the acknowledgement: its arguments. Nothing else may come before it."""
        self._next_id += 1
        self.emit(*event, namespace=namespace, id=self._next_id)
        answer = self.packet()
        assert answer.type in (ACK, BINARY_ACK), answer
        assert (answer.namespace, answer.id) == (namespace, self._next_id), answer
        return answer.data

    def next_event(self, namespace="/"):
        packet = self.packet()
        assert packet.namespace == namespace, packet
        return packet.event

    def is_alive(self, namespace="/"):
        """Whether the next thing that comes is the answer to a question asked now."""
        return self.call("message-with-ack", "alive", namespace=namespace) == ["alive"]

    def wait_until_closed(self):
        """Packets that came before the end of the connection."""
        messages = drain(self.session)
        self.session.wait_until_closed()
        return messages


def client(server, transport="websocket", namespace="/", auth=None):
    return Client(server, transport).connect(namespace, auth)


def observer(server, namespace="/"):
    """A client that hears when others of the namespace leave."""
    watching = Client(server, session=WebSocketSession(server, "/socket.io/")).connect(namespace)
    assert watching.call("join", "observers", namespace=namespace) == []
    return watching
