"""A fixture server for each module; `PROFILE` and `ARGUMENTS` in the module choose its settings.

It pings every 300 ms as the profile says, but gives a pong ten seconds: a slow machine must not lose a session that a
test still needs. What is to end for want of a pong runs against `beating`.
"""

import pytest
from engine_client import TRANSPORTS, Polling, WebSocketSession
from fixture_server import FixtureServer


PATIENT = ("--ping-timeout", "10000")


@pytest.fixture(scope="module")
def server(request):
    arguments = getattr(request.module, "ARGUMENTS", PATIENT)
    with FixtureServer(getattr(request.module, "PROFILE", "default"), *arguments) as server:
        yield server


@pytest.fixture(scope="module")
def beating():
    """A server with the default heartbeat, that waits for a pong for 200 ms."""
    with FixtureServer() as server:
        yield server
        server.check_alive()


@pytest.fixture(scope="module")
def calm():
    """A server that does not ping while a test lasts."""
    with FixtureServer("bench") as server:
        yield server
        server.check_alive()


@pytest.fixture(autouse=True)
def still_serves(request):
    """Whatever a test did, the server lives on."""
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").check_alive()


@pytest.fixture
def polling(server):
    return Polling(server)


@pytest.fixture
def websocket(server):
    return WebSocketSession(server)


@pytest.fixture(params=TRANSPORTS)
def connect(request):
    """Opens a session over each transport in turn: `connect(server, path)`."""
    return TRANSPORTS[request.param]
