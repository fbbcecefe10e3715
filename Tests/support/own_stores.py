"""A PostgreSQL and a Redis of one test, which may stop them, freeze them and kill them."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile

from cluster import ROOT, Cluster

NAMES = ("DATABASE_URL", "REDIS_URL", "SERVICE_DATABASE_URL", "SERVICE_REDIS_URL")


def _children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class OwnStores:
    """Use as a context manager; `cluster(...)` makes instances over them."""

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="holdfast-stores-")
        self.folder = pathlib.Path(self._temporary.name)
        self.folder.chmod(0o755)
        self._script("start")
        found = dict(line.split("=", 1) for line in (self.folder / "env").read_text().split())
        self._before = {f"HOLDFAST_TEST_{name}": os.environ.get(f"HOLDFAST_TEST_{name}") for name in NAMES}
        os.environ.update({f"HOLDFAST_TEST_{name}": found[name] for name in NAMES})
        self.postgres = int((self.folder / "postgres/postmaster.pid").read_text().split()[0])
        self.redis = int((self.folder / "redis.pid").read_text())
        return self

    def __exit__(self, *_):
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        self.thaw("postgres")
        self.thaw("redis")
        self._script("stop")
        self._temporary.cleanup()

    def _script(self, what):
        subprocess.run([ROOT / "scripts/services.sh", what, self.folder], check=True, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def cluster(self, instances=1, **settings):
        running = Cluster(instances, **settings)
        running.__enter__()
        try:
            yield running
        finally:
            self.thaw("postgres")
            self.thaw("redis")
            running.__exit__(None, None, None)

    def _signal(self, store, number):
        pid = getattr(self, store)
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            # PostgreSQL is a process per connection.
            for process in [pid, *_children(pid)]:
                os.kill(process, number)

    def freeze(self, store):
        """It takes connections and says nothing, as a machine whose disk has gone."""
        self._signal(store, signal.SIGSTOP)

    def thaw(self, store):
        self._signal(store, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self, store):
        self.freeze(store)
        try:
            yield
        finally:
            self.thaw(store)
