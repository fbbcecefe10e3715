"""A PostgreSQL and a Redis of a test's own, which it may break. Both keep what they acknowledged, like real ones."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse

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

    def _services(self, command, *arguments):
        subprocess.run([SERVICES, command, self.folder, *arguments], check=True, stdin=subprocess.DEVNULL)

    def crash(self, store):
        self._services("crash", store)

    def again(self, store):
        self._services("again", store)

    # Redis' file

    @property
    def _file(self):
        return self.folder / "redis/appendonlydir"

    def keep_redis_file(self):
        """Copies the append-only file as it is now."""
        shutil.copytree(self._file, self.folder / "kept")

    def bring_back_redis_file(self):
        """Puts the copy in the place of the file. Redis must not run."""
        shutil.rmtree(self._file)
        shutil.copytree(self.folder / "kept", self._file)

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
