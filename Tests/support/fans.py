"""People with python-socketio, an unmodified Socket.IO client, and plain HTTP."""

import asyncio
import time

import aiohttp
import socketio

from cluster import PASSWORD

ANSWER_SECONDS = 10


class Refused(AssertionError):
    """An HTTP answer that was not the expected one."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Fan:
    """One person. Remembers every event that arrives, so that a test can wait for one without missing it."""

    def __init__(self, token=None):
        self.token, self.signed_in = token, None
        self.socket, self.arrived = None, []
        self._news = asyncio.Condition()

    # HTTP

    async def http(self, instance, method, path, body=None, expect=200, headers=None):
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with aiohttp.ClientSession() as session:
            async with session.request(method, instance.url + path, json=body, headers=headers) as answer:
                is_json = "json" in answer.headers.get("Content-Type", "")
                content = await answer.json(content_type=None) if is_json else await answer.text()
                if answer.status != expect:
                    raise Refused(answer.status, content)
                return content

    async def login(self, instance, user):
        self.signed_in = await self.http(
            instance, "POST", "/api/auth/login", {"user_id": user, "password": PASSWORD}
        )
        self.token = self.signed_in["access_token"]
        return self

    # Socket.IO

    async def connect(self, instance):
        self.socket = socketio.AsyncClient(reconnection=False)
        self.arrived = []
        self.socket.on("*", self._on_event)
        self.socket.on("disconnect", self._on_disconnect)
        self.socket.on("connect_error", self._on_refused)
        await self.socket.connect(
            instance.url, auth={"token": self.token}, transports=["websocket"], wait_timeout=ANSWER_SECONDS
        )
        return self

    async def _on_event(self, name, *arguments):
        async with self._news:
            self.arrived.append((name, arguments[0] if arguments else None, time.monotonic()))
            self._news.notify_all()

    async def _on_disconnect(self, reason=None):
        await self._on_event("(disconnected)", reason)

    async def _on_refused(self, data):
        await self._on_event("(refused)", data)

    async def is_refused(self, instance):
        """Tries to connect; returns the data of the CONNECT_ERROR, which must come."""
        try:
            await self.connect(instance)
        except socketio.exceptions.ConnectionError:
            return await self.hears("(refused)")
        raise AssertionError("the socket was let in")

    async def call(self, name, data=None, ok=True):
        """Emits and returns the acknowledgement, which must be what `ok` says."""
        answer = await self.socket.call(name, data if data is not None else {}, timeout=ANSWER_SECONDS)
        assert answer.get("ok") is ok, f"{name}: {answer}"
        return answer

    async def hears(self, name, where=lambda data: True, within=ANSWER_SECONDS):
        """The first event of this name, or of one of these names, that fits, also if it came before."""
        wanted = (name,) if isinstance(name, str) else name

        def found():
            return next(((data, at) for kind, data, at in self.arrived if kind in wanted and where(data)), None)

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(found), within)
            except TimeoutError:
                names = [kind for kind, *_ in self.arrived]
                raise AssertionError(f"no {name} within {within} s; heard {names}") from None
            return found()[0]

    def heard(self, name):
        return [data for kind, data, _ in self.arrived if kind == name]

    def heard_at(self, name):
        return next(at for kind, _, at in self.arrived if kind == name)

    async def cut(self):
        """The network goes: the socket dies without a close frame."""
        self.socket.eio.ws._response.connection.transport.abort()
        await self.hears("(disconnected)")

    async def leave(self):
        if self.socket is not None and self.socket.connected:
            await self.socket.disconnect()


async def everybody_leaves(*fans):
    await asyncio.gather(*(fan.leave() for fan in fans))


def seat_messages(fan):
    """The seat messages a person heard, in order of arrival, as (seq, kind, seats)."""
    return [
        (data["seq"], kind, tuple(data["seatIds"]))
        for kind, data, _ in fan.arrived
        if kind in ("seat-locked", "seat-released", "seat-reserved")
    ]


def assert_gapless(fan, resets=0):
    """Every number follows the one before. After a reset, of which there may be so many, they begin anew."""
    lives = [[]]
    for kind, data, _ in fan.arrived:
        if kind == "seats-reset":
            lives.append([])
        elif kind in ("seat-locked", "seat-released", "seat-reserved"):
            lives[-1].append(data["seq"])
    assert len(lives) <= resets + 1, f"{len(lives) - 1} resets"
    for numbers in filter(None, lives):
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
