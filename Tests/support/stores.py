"""A PostgreSQL and a Redis of a test's own, which it may break. Both keep what they acknowledged, like real ones."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

from clocks import Clock
from ports import free_port

SERVICES = pathlib.Path(__file__).resolve().parents[2] / "scripts/services.sh"


class Stores:
    """Use as a context manager."""

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="holdfast-stores-", ignore_cleanup_errors=True)
        self.folder = pathlib.Path(self._temporary.name)
        self._services("start", "--durable")
        lines = (self.folder / "env").read_text().splitlines()
        self.urls = {f"HOLDFAST_TEST_{name}": url for name, url in (line.split("=", 1) for line in lines)}
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.CalledProcessError):
            self._services("stop")
        self._temporary.cleanup()

    def _services(self, command, *arguments, environment=None):
        subprocess.run(
            [SERVICES, command, self.folder, *arguments], check=True, stdin=subprocess.DEVNULL,
            env=os.environ | (environment or {}),
        )

    def crash(self, store):
        self._services("crash", store)

    def again(self, store, environment=None):
        self._services("again", store, environment=environment)

    @contextlib.contextmanager
    def stopped(self, store):
        """The process stands still, as in a frozen virtual machine, and goes on at the end of the block."""
        assert store == "redis", "PostgreSQL is several processes"
        process = int((self.folder / "redis.pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    # Redis' file

    @property
    def _file(self):
        return self.folder / "redis/appendonlydir"

    def keep_redis_file(self):
        """Copies the append-only file as it is now."""
        shutil.rmtree(self.folder / "kept", ignore_errors=True)
        shutil.copytree(self._file, self.folder / "kept")

    def keep_redis_snapshot(self):
        """Saves an RDB file, which knows the replication id that it was written under, as a backup does."""
        shutil.rmtree(self.folder / "kept", ignore_errors=True)
        answer = self.redis("SAVE")
        assert answer == "OK", answer
        kept = self.folder / "kept"
        kept.mkdir()
        shutil.copy(self.folder / "redis/dump.rdb", kept / "appendonly.aof.1.base.rdb")
        (kept / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")

    def bring_back_redis_file(self):
        """Puts the copy in the place of the file. Redis must not run."""
        shutil.rmtree(self._file)
        shutil.copytree(self.folder / "kept", self._file)

    def redis(self, *command):
        parts = urllib.parse.urlsplit(self.urls["HOLDFAST_TEST_REDIS_URL"])
        return subprocess.run(
            ["redis-cli", "-p", str(parts.port), *command], text=True, capture_output=True, check=True,
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": parts.password},
        ).stdout.strip()

    @contextlib.contextmanager
    def redis_clock(self, hours=0):
        """Redis goes by a clock of the test's, which is given, until the end of the block; it keeps its data."""
        clock = Clock(hours)
        self.crash("redis")
        self.again("redis", clock.environment)
        self._until_redis_answers()
        try:
            yield clock
        finally:
            self.crash("redis")
            self.again("redis")
            self._until_redis_answers()

    def _until_redis_answers(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.redis("PING") == "PONG":
                    return
            except subprocess.CalledProcessError:
                pass
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.02)

    def replica(self):
        return Replica(self)


class Replica:
    """A second Redis that copies the first. Use as a context manager."""

    def __init__(self, stores):
        self._parts = urllib.parse.urlsplit(stores.urls["HOLDFAST_TEST_REDIS_URL"])
        self._folder = stores.folder / "replica"
        self.address = ("127.0.0.1", free_port())
        self._acl = stores.folder / "users.acl"

    def __enter__(self):
        self._folder.mkdir()
        self._process = subprocess.Popen(
            [
                "redis-server", "--bind", "127.0.0.1", "--port", str(self.address[1]), "--dir", self._folder,
                "--save", "", "--aclfile", self._acl, "--logfile", self._folder / "server.log",
                "--replicaof", f"127.0.0.1 {self._parts.port}", "--masterauth", self._parts.password,
                "--maxmemory-policy", "noeviction",
            ],
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while "master_link_status:up" not in self._ask("INFO", "replication"):
            assert time.monotonic() < deadline, "the replica does not follow"
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)

    def promote(self):
        assert self._ask("REPLICAOF", "NO", "ONE").strip() == "OK"

    def _ask(self, *command):
        return subprocess.run(
            ["redis-cli", "-p", str(self.address[1]), *command], text=True, capture_output=True, check=False,
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": self._parts.password},
        ).stdout
