"""Engine.IO sessions over either transport, with one set of verbs for both.

`send` and `receive` are of messages: text as `str`, binary as `bytes`. Packets of the heartbeat are answered on the way,
so that a slow machine does not lose a session that a test still needs.
"""

import base64
import json
import time

from raw_http import TIMEOUT, Connection, ask
from raw_websocket import Closed, RawWebSocket

SEPARATOR = "\x1e"
POLLING, WEBSOCKET = "transport=polling", "transport=websocket"


def target(path, transport, sid=None, **extra):
    query = "".join(f"&{name}={value}" for name, value in extra.items())
    return f"{path}?EIO=4&transport={transport}{f'&sid={sid}' if sid else ''}{query}"


class Polling:
    def __init__(self, server, path="/engine.io/", fields=(), **query):
        self.server, self.path = server, path
        self.answer = ask(server.port, "GET", target(path, "polling", **query), fields)
        assert self.answer.status == 200, self.answer
        assert self.answer.text[0] == "0", self.answer
        self.handshake = json.loads(self.answer.text[1:])
        self.sid = self.handshake["sid"]
        self._received = []

    @property
    def target(self):
        return target(self.path, "polling", self.sid)

    def start_poll(self, fields=()):
        """A poll that is under way. The server has its head when this returns and the machine is quick; if the order
        matters, let `settle` follow."""
        return Connection(self.server.port).request("GET", self.target, fields)

    def poll(self, fields=()):
        with self.start_poll(fields) as connection:
            return connection.response()

    def start_post(self, body, length=None, fields=()):
        fields = {"Content-Type": "text/plain;charset=UTF-8"} | dict(fields)
        return Connection(self.server.port).request("POST", self.target, fields, body, length)

    def post(self, *packets, fields=()):
        body = SEPARATOR.join(packets).encode()
        with self.start_post(body, fields=fields) as connection:
            return connection.response()

    def packets(self):
        """One poll's packets, the heartbeat's too."""
        answer = self.poll()
        assert answer.status == 200, answer
        return answer.text.split(SEPARATOR)

    def send(self, *messages):
        answer = self.post(*(
            "4" + message if isinstance(message, str) else "b" + base64.b64encode(message).decode()
            for message in messages
        ))
        assert (answer.status, answer.body) == (200, b"ok"), answer

    def receive(self):
        deadline = time.monotonic() + TIMEOUT
        while not self._received:
            assert time.monotonic() < deadline, "nothing but pings came"
            answer = self.poll()
            if answer.status != 200:
                raise Closed(None)
            for packet in answer.text.split(SEPARATOR):
                if packet == "2":
                    self.post("3")
                elif packet[:1] == "4":
                    self._received.append(packet[1:])
                elif packet[:1] == "b":
                    self._received.append(base64.b64decode(packet[1:], validate=True))
                elif packet == "1":
                    self._received.append(Closed(None))
                else:
                    assert packet == "6", packet
        message = self._received.pop(0)
        if isinstance(message, Closed):
            raise message
        return message

    def is_unknown(self):
        """Whether the server has forgotten the session."""
        answer = ask(self.server.port, "POST", self.target, body=b"3")
        return answer.status == 400 and answer.json["code"] == 1

    def wait_until_closed(self):
        drain(self)
        until(self.is_unknown, what="the end of the session")

    def cut(self):
        self.start_poll().close()

    def probe(self, fields=()):
        """A WebSocket for this session, probed."""
        websocket = RawWebSocket(self.server.port, target(self.path, "websocket", self.sid), fields)
        assert websocket.is_open, websocket.answer
        websocket.send("2probe")
        assert websocket.message() == "3probe"
        return websocket

    def upgrade(self):
        websocket = self.probe()
        websocket.send("5")
        return WebSocketSession(self.server, self.path, websocket=websocket, sid=self.sid)


class WebSocketSession:
    def __init__(self, server, path="/engine.io/", fields=(), websocket=None, sid=None, **query):
        self.server, self.path, self.sid = server, path, sid
        self.websocket = websocket or RawWebSocket(server.port, target(path, "websocket", **query), fields)
        self.answer = self.websocket.answer
        assert self.websocket.is_open, self.answer
        if not sid:
            message = self.websocket.message()
            assert message[0] == "0", message
            self.handshake = json.loads(message[1:])
            self.sid = self.handshake["sid"]

    def send(self, *messages):
        self.websocket.send_all(*("4" + message if isinstance(message, str) else message for message in messages))

    def receive(self):
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            packet = self.websocket.message()
            if isinstance(packet, bytes):
                return packet
            if packet == "2":
                self.websocket.send("3")
            elif packet == "1":
                raise Closed(None)
            elif packet != "6":
                assert packet[0] == "4", packet
                return packet[1:]
        raise AssertionError("nothing but pings came")

    def wait_until_closed(self):
        drain(self)
        self.websocket.connection.ended()

    def cut(self):
        self.websocket.cut()


def upgraded(server, path="/engine.io/", **query):
    return Polling(server, path, **query).upgrade()


TRANSPORTS = {"polling": Polling, "websocket": WebSocketSession, "upgraded": upgraded}


def drain(session):
    """Receives up to the close of a session: the messages before it."""
    messages = []
    try:
        while True:
            messages.append(session.receive())
    except (Closed, ConnectionError):
        return messages


def until(condition, seconds=8, what="it"):
    """For what only shows itself to those who ask."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.01)
