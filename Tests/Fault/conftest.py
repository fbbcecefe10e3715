import mutants
import pytest
from stores import Stores


@pytest.fixture(scope="session")
def stores():
    """A PostgreSQL and a Redis for all tests, which may break them and must start them again."""
    with Stores() as running:
        yield running


@pytest.fixture(autouse=True)
def mutant(monkeypatch):
    yield from mutants.apply(monkeypatch)
