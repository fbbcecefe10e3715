"""A psql that stays, to hold locks in the way of the service."""

import subprocess


class Session:
    """Use as a context manager; leaving it gives every lock back."""

    def __init__(self, cluster):
        self._url = cluster.database_url

    def __enter__(self):
        self._psql = subprocess.Popen(
            ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", self._url], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *_):
        self._psql.stdin.close()
        self._psql.wait()
        self._psql.stdout.close()

    def lock(self, name):
        """Takes the advisory lock of this name, by which the service orders what it does."""
        self._psql.stdin.write(f"SELECT 'locked' FROM pg_advisory_lock(hashtextextended('{name}', 0));\n")
        self._psql.stdin.flush()
        assert self._psql.stdout.readline().strip() == "locked"
