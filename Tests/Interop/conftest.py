"""A fixture server for each module; `PROFILE` and `ARGUMENTS` in the module choose its settings."""

import pytest
from engine_client import TRANSPORTS, Polling, WebSocketSession
from fixture_server import FixtureServer


@pytest.fixture(scope="module")
def server(request):
    arguments = getattr(request.module, "ARGUMENTS", ())
    with FixtureServer(getattr(request.module, "PROFILE", "default"), *arguments) as server:
        yield server


@pytest.fixture(scope="module")
def beating():
    """A server with the default heartbeat of 300 ms, for modules whose own has a slow one."""
    with FixtureServer() as server:
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
