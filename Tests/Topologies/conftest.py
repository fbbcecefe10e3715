import os
import tempfile

import pytest

from cluster import Cluster
from topologies import Topology


@pytest.fixture
def start(monkeypatch):
    """Starts a topology of the test's own and instances on it; both end with the test."""
    ending = []

    def start(kind, instances=2, **settings):
        folder = tempfile.TemporaryDirectory(prefix="holdfast-topology-")
        ending.append(folder.cleanup)
        topology = Topology.start(kind, folder.name)
        ending.append(topology.stop)
        monkeypatch.setenv("HOLDFAST_TEST_TOPOLOGY", folder.name)
        monkeypatch.setenv("HOLDFAST_TEST_REDIS_URL", os.environ.get("HOLDFAST_TEST_REDIS_URL", "redis://127.0.0.1:1"))
        cluster = Cluster(instances, **settings)
        cluster.__enter__()
        ending.append(lambda: cluster.__exit__(None, None, None))
        return topology, cluster

    yield start
    for end in reversed(ending):
        end()
