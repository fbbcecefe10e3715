"""Starts two instances with an event of 5,000 seats, unless HOLDFAST_URL points to a service that runs already."""

import json
import os

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
