"""python-socketio and python-engineio as clients, unmodified: each transport, each feature, and a server that dies."""

import asyncio
import contextlib
import queue

import engineio
import pytest
import socketio
from fixture_server import FixtureServer

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
EACH_TRANSPORT = pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)
SECONDS = 10


class Events:
    """What a client has heard, one queue for each event."""

    def __init__(self, client, *names, namespace="/"):
        self._queues = {name: asyncio.Queue() for name in names}
        for name, waiting in self._queues.items():
            client.on(name, lambda *arguments, waiting=waiting: waiting.put_nowait(list(arguments)), namespace=namespace)

    async def next(self, name):
        return await asyncio.wait_for(self._queues[name].get(), SECONDS)


@contextlib.asynccontextmanager
async def connected(server, transports, *names, namespace="/", auth=None, **settings):
    client = socketio.AsyncClient(**({"reconnection": False} | settings))
    events = Events(client, "auth", "message-back", *names, namespace=namespace)
    await client.connect(server.url, transports=transports, namespaces=[namespace], auth=auth, wait_timeout=SECONDS)
    try:
        yield client, events
    finally:
        await client.disconnect()


@EACH_TRANSPORT
async def test_connect_and_echo(server, transports):
    async with connected(server, transports, auth={"token": "x"}) as (client, events):
        assert await events.next("auth") == [{"token": "x"}]
        assert client.transport() == transports[-1]
        await client.emit("message", ("a", 1, True, None, {"nested": [1.5]}))
        assert await events.next("message-back") == ["a", 1, True, None, {"nested": [1.5]}]


@EACH_TRANSPORT
async def test_binary_both_ways(server, transports):
    async with connected(server, transports) as (client, events):
        await client.emit("message", (b"\x00\xff", {"deep": [b"\x1e", "text"]}))
        assert await events.next("message-back") == [b"\x00\xff", {"deep": [b"\x1e", "text"]}]
        assert await client.call("message-with-ack", (b"x" * 10_000, 7), timeout=SECONDS) == (b"x" * 10_000, 7)


@EACH_TRANSPORT
async def test_acknowledgements_both_ways(server, transports):
    async with connected(server, transports, "answer") as (client, events):
        assert await client.call("message-with-ack", "one", timeout=SECONDS) == "one"
        client.on("question", lambda *arguments: ("answered", *arguments))
        await client.emit("ask-me", (1, b"two"))
        assert await events.next("answer") == ["answered", 1, b"two"]


@EACH_TRANSPORT
async def test_a_namespace_of_its_own(server, transports):
    async with connected(server, transports, namespace="/custom", auth={"a": 1}) as (client, events):
        assert await events.next("auth") == [{"a": 1}]
        await client.emit("message", b"in custom", namespace="/custom")
        assert await events.next("message-back") == [b"in custom"]


async def test_several_namespaces_on_one_connection(server):
    client = socketio.AsyncClient(reconnection=False)
    namespaces = ["/", "/custom", "/dynamic-1"]
    events = {name: Events(client, "message-back", namespace=name) for name in namespaces}
    await client.connect(server.url, namespaces=namespaces, wait_timeout=SECONDS)
    for name in namespaces:
        await client.emit("message", name, namespace=name)
        assert await events[name].next("message-back") == [name]
    await client.disconnect()


@EACH_TRANSPORT
async def test_a_refused_connection_tells_why(server, transports):
    client = socketio.AsyncClient(reconnection=False)
    errors = asyncio.Queue()
    client.on("connect_error", errors.put_nowait, namespace="/denied")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(server.url, transports=transports, namespaces=["/denied"], auth={"token": "no"},
                             wait_timeout=SECONDS)
    assert await asyncio.wait_for(errors.get(), SECONDS) == {"message": "Not authorized", "data": {"code": "E_DENIED"}}
    await client.disconnect()
    async with connected(server, transports, namespace="/denied", auth={"token": "letmein"}) as (client, events):
        assert await events.next("auth") == [{"token": "letmein"}]


async def test_an_unknown_namespace_is_refused(server):
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(server.url, namespaces=["/nowhere"], wait_timeout=SECONDS)


@EACH_TRANSPORT
@pytest.mark.parametrize("count", [17, 100, 300])
async def test_payloads_of_more_than_16_packets(server, transports, count):
    """It ends a polling session whose payload holds more than 16."""
    async with connected(server, transports, "burst-item") as (client, events):
        await client.emit("burst", count)
        assert [(await events.next("burst-item"))[0] for _ in range(count)] == list(range(count))
        assert client.connected


@EACH_TRANSPORT
async def test_many_emits_keep_their_order(server, transports):
    async with connected(server, transports) as (client, events):
        for number in range(200):
            await client.emit("message", number)
        assert [(await events.next("message-back"))[0] for _ in range(200)] == list(range(200))


@EACH_TRANSPORT
async def test_rooms(server, transports):
    async with connected(server, transports, "room-message") as (first, heard_by_first), \
            connected(server, ["websocket"], "room-message") as (_, heard_by_second):
        second = _
        room = f"room-{'-'.join(transports)}"
        for client in (first, second):
            await client.call("join", room, timeout=SECONDS)
        await first.emit("room-emit", (room, "to all", b"\x01"))
        assert await heard_by_first.next("room-message") == ["to all", b"\x01"]
        assert await heard_by_second.next("room-message") == ["to all", b"\x01"]
        await second.emit("room-broadcast", (room, "to the other"))
        assert await heard_by_first.next("room-message") == ["to the other"]


@EACH_TRANSPORT
async def test_the_heartbeat_keeps_an_idle_connection(server, transports):
    async with connected(server, transports) as (client, events):
        await asyncio.sleep(1.5)  # Five ping intervals: what is tested is time passing.
        assert client.connected
        await client.emit("message", "still here")
        assert await events.next("message-back") == ["still here"]


@EACH_TRANSPORT
async def test_kick_ends_the_connection_of_the_only_namespace(server, transports):
    async with connected(server, transports, "disconnect") as (client, events):
        await client.emit("kick")
        assert await events.next("disconnect")


@EACH_TRANSPORT
async def test_kick_close_ends_the_connection(server, transports):
    async with connected(server, transports, "disconnect") as (client, events):
        await client.emit("kick-close")
        assert await events.next("disconnect")


async def test_a_client_that_leaves_is_noticed(server):
    async with connected(server, ["websocket"], "peer-disconnected") as (watching, events):
        await watching.call("join", "observers", timeout=SECONDS)
        for transports in TRANSPORTS.values():
            async with connected(server, transports) as (leaving, _):
                sid = leaving.get_sid()
            name, reason = await events.next("peer-disconnected")
            assert (name, reason) in ((sid, "client namespace disconnect"), (sid, "transport close"))


@EACH_TRANSPORT
async def test_it_comes_back_after_the_server_was_killed(transports):
    with FixtureServer() as server:
        settings = {"reconnection": True, "reconnection_delay": 0.05, "reconnection_delay_max": 0.2}
        async with connected(server, transports, "connect", "disconnect", **settings) as (client, events):
            await events.next("connect")
            first = client.get_sid()
            server.kill()
            await events.next("disconnect")
            server.start()
            await events.next("connect")
            assert client.get_sid() != first
            await client.emit("message", "again")
            assert await events.next("message-back") == ["again"]


# The synchronous client


@EACH_TRANSPORT
def test_the_synchronous_client(server, transports):
    client = socketio.Client(reconnection=False)
    heard = queue.Queue()
    client.on("message-back", lambda *arguments: heard.put(list(arguments)))
    client.on("question", lambda *arguments: ("yes", *arguments))
    client.on("answer", lambda *arguments: heard.put(list(arguments)))
    client.on("burst-item", heard.put)
    client.connect(server.url, transports=transports, auth={"a": 1}, wait_timeout=SECONDS)
    try:
        client.emit("message", ("x", b"\x00"))
        assert heard.get(timeout=SECONDS) == ["x", b"\x00"]
        assert client.call("message-with-ack", b"ack", timeout=SECONDS) == b"ack"
        client.emit("ask-me", "q")
        assert heard.get(timeout=SECONDS) == ["yes", "q"]
        client.emit("burst", 100)
        assert [heard.get(timeout=SECONDS) for _ in range(100)] == list(range(100))
    finally:
        client.disconnect()


# python-engineio


@EACH_TRANSPORT
async def test_the_bare_engineio_client(server, transports):
    client = engineio.AsyncClient()
    heard = asyncio.Queue()
    client.on("message", heard.put_nowait)
    await client.connect(server.url, transports=transports, engineio_path="engine.io")
    for message in ("text", b"\x00\x01", "é😀", "x" * 50_000, b"y" * 50_000):
        await client.send(message)
        assert await asyncio.wait_for(heard.get(), SECONDS) == message
    for number in range(100):
        await client.send(str(number))
    assert [await asyncio.wait_for(heard.get(), SECONDS) for _ in range(100)] == list(map(str, range(100)))
    await client.disconnect()
