import pytest

from cluster import Cluster


@pytest.fixture(scope="module")
def cluster():
    """Three instances shared by the tests of a module; tests that break instances make their own."""
    with Cluster(instances=3) as running:
        yield running
