"""Starts two instances with an event of 5,000 seats, unless HOLDFAST_URL points to a service that runs already."""

import json
import os

import pytest
from cluster import PASSWORD, ROOT, Cluster

_cluster = None


def pytest_configure(config):
    global _cluster
    if os.environ.get("HOLDFAST_URL"):
        return
    _cluster = Cluster(instances=2).__enter__()
    for user in ("ada", "ben"):
        _cluster.create_user(user)
    demo = json.loads((ROOT / "Deploy/demo/event.json").read_text())
    os.environ["HOLDFAST_TEST_EVENT"] = _cluster.create_event(**demo)
    os.environ["HOLDFAST_TEST_USERS"] = f"ada:{PASSWORD},ben:{PASSWORD}"
    os.environ["HOLDFAST_URL"] = _cluster.instances[0].url


def pytest_unconfigure(config):
    if _cluster is not None:
        _cluster.__exit__(None, None, None)


@pytest.fixture
def service():
    """The instances, for tests that need an operator's hand: events of their own, an administrator, a lost instance."""
    if _cluster is None:
        pytest.skip("needs a service of its own: HOLDFAST_URL points to another")
    return _cluster


@pytest.fixture
def ada():
    yield from _fan(0)


@pytest.fixture
def ben():
    yield from _fan(1)


def _fan(index):
    # Imported here: it reads the settings that `pytest_configure` makes.
    from fan_at_browser import USERS, open_browser

    with open_browser(*USERS[index]) as fan:
        yield fan
