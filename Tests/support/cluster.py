"""Several instances of Holdfast as processes, on a database and a Redis database of their own.

The servers come from the environment (HOLDFAST_TEST_DATABASE_URL, HOLDFAST_TEST_REDIS_URL), the binary from
HOLDFAST_BINARY; `make test` sets all three. HOLDFAST_TEST_TOPOLOGY may name a folder of scripts/topologies.py instead of
the second.
"""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from ports import free_port
from topologies import Topology

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"

# Each cluster gets a Redis database to itself; database 0 belongs to the Swift tests.
_redis_databases = itertools.cycle(range(1, 16))


def until(condition, seconds=20, what="it"):
    """Waits for another process: asks again every 20 ms, because a process cannot be awaited any better."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


class Instance:
    def __init__(self, cluster, name, port=None, settings=None):
        self.cluster, self.name, self.port = cluster, name, port or free_port()
        self.log = cluster.folder / f"{name}.log"
        environment = cluster.environment | {
            "HOLDFAST_PORT": str(self.port),
            "HOLDFAST_INSTANCE": name,
        } | (settings or {})
        self.process = subprocess.Popen(
            [cluster.binary, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=self.log.open("ab"),
            stdin=subprocess.DEVNULL,
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(self.last_words())
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def has_crashed(self):
        """Whether it ended by itself: neither killed nor asked to leave."""
        return self.process.poll() not in (None, 0, -signal.SIGKILL)

    def last_words(self):
        return f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-30_000:]}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds=30):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)


class Cluster:
    """Use as a context manager. `settings` are extra environment variables of every instance.

    `stores` are servers of its own (stores.Stores), for tests that break them.
    """

    def __init__(self, instances=1, stores=None, **settings):
        self.binary = os.environ["HOLDFAST_BINARY"]
        urls = stores.urls if stores else os.environ
        self._admin_url = urls["HOLDFAST_TEST_DATABASE_URL"]
        self._database = f"journey_{secrets.token_hex(6)}"
        parts = urllib.parse.urlsplit(self._admin_url)
        self.database_url = urllib.parse.urlunsplit(parts._replace(path=f"/{self._database}"))
        topology = os.environ.get("HOLDFAST_TEST_TOPOLOGY")
        self.topology = Topology.load(topology) if topology else None
        self._redis_database = next(_redis_databases)
        redis = urllib.parse.urlsplit(urls["HOLDFAST_TEST_REDIS_URL"])
        self.redis_url = urllib.parse.urlunsplit(redis._replace(path=f"/{self._redis_database}"))
        service_database = urls.get("HOLDFAST_TEST_SERVICE_DATABASE_URL", self._admin_url)
        service_redis = urls.get("HOLDFAST_TEST_SERVICE_REDIS_URL", self.redis_url)
        self.environment = {
            "PATH": os.environ["PATH"],
            # The users of Deploy/, so that every journey proves that their rights are enough.
            "DATABASE_URL": self._with_path(service_database, self._database),
            "REDIS_URL": self._with_path(service_redis, urllib.parse.urlsplit(self.redis_url).path),
            "HOLDFAST_SECRETS": base64.b64encode(secrets.token_bytes(32)).decode(),
            # Nobody balances here, unless a test says so.
            "DRAIN_NOTICE_SECONDS": "0",
            "LOG_LEVEL": os.environ.get("HOLDFAST_TEST_LOG_LEVEL", "info"),
        }
        if self.topology:
            self.environment["REDIS_URL"] = self.topology.service_address(self._redis_database)
        self.environment |= {name: str(value) for name, value in settings.items()}
        self._wanted, self.instances = instances, []

    @staticmethod
    def _with_path(url, path):
        return urllib.parse.urlunsplit(urllib.parse.urlsplit(url)._replace(path=f"/{path.lstrip('/')}"))

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="holdfast-journey-")
        self.folder = pathlib.Path(self._temporary.name)
        self.sql(f'CREATE DATABASE "{self._database}"', url=self._admin_url)
        self.redis("FLUSHDB")
        try:
            self.migrate()
            self.start(self._wanted)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        crashed = [instance.last_words() for instance in self.instances if instance.has_crashed()]
        for instance in self.instances:
            if instance.process.poll() is None:
                instance.kill()
        with contextlib.suppress(AssertionError):
            self.redis("FLUSHDB")
        self.sql(f'DROP DATABASE IF EXISTS "{self._database}" WITH (FORCE)', url=self._admin_url)
        self._temporary.cleanup()
        assert not crashed, "\n".join(crashed)

    def start(self, count=1, port=None, **settings):
        """Starts instances on free ports, or one at the address that another has left."""
        names = [f"instance-{len(self.instances) + index}" for index in range(count)]
        started = [Instance(self, name, port, settings) for name in names]
        self.instances += started
        for instance in started:
            until(instance.is_ready, 90, f"{instance.name} becoming ready")
        return started[0] if started else None

    @property
    def alive(self):
        return [instance for instance in self.instances if instance.process.poll() is None]

    # Stores, as an operator would reach them

    def sql(self, statement, url=None):
        result = subprocess.run(
            ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", url or self.database_url, "-c", statement],
            capture_output=True, text=True, check=False,
        )
        assert result.returncode == 0, result.stderr
        return [line for line in result.stdout.splitlines() if line]

    def redis(self, *command):
        if self.topology:
            return self.topology.command(self._redis_database, *command)
        parts = urllib.parse.urlsplit(self.redis_url)
        result = subprocess.run(
            ["redis-cli", "-h", parts.hostname, "-p", str(parts.port), "-n", parts.path.lstrip("/"), *command],
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": parts.password or ""},
            capture_output=True, text=True, check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    # The command line

    def command(self, *arguments, stdin="", status=0):
        result = subprocess.run(
            [self.binary, *arguments], env=self.environment, input=stdin, capture_output=True, text=True, cwd=ROOT,
            check=False,
        )
        assert result.returncode == status, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout.strip() if status == 0 else result.stderr.strip()

    def migrate(self):
        """As the owner of the tables, who then gives the service's role its rights."""
        service, self.environment["DATABASE_URL"] = self.environment["DATABASE_URL"], self.database_url
        try:
            self.command("migrate")
        finally:
            self.environment["DATABASE_URL"] = service
        if service != self.database_url:
            self.sql((ROOT / "Deploy/postgres/grants.sql").read_text())

    def create_user(self, user, role="user"):
        self.command(
            "user", "create", "--user-id", user, "--role", role, "--password-stdin", stdin=PASSWORD + "\n"
        )

    def tokens(self, count):
        """Access tokens of load-1 … load-N, made without hashing a password."""
        path = self.folder / f"tokens-{secrets.token_hex(4)}"
        self.command("loadtest", "prepare", "--users", str(count), "--tokens", str(path))
        return path.read_text().split()

    def create_event(self, open=True, **changes):
        """An event of 60 seats without a queue; `changes` replace whole top-level parts of the file."""
        event = {
            "title": "Journey", "venue": "Hall", "startsAt": "2027-01-15T10:00:00.000Z", "currency": "KRW",
            "sale": {"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 60},
            "queue": {"enabled": False},
            "sections": [
                {"name": "VIP", "rows": 2, "seatsPerRow": 10, "price": 150000},
                {"name": "R", "rows": 4, "seatsPerRow": 10, "price": 100000},
            ],
        } | changes
        path = self.folder / f"event-{secrets.token_hex(4)}.json"
        path.write_text(json.dumps(event))
        identifier = self.command("event", "create", "--file", str(path))
        if open:
            self.command("event", "open", identifier)
        return identifier

    def open_queue(self, **rules):
        return {"enabled": True, "maxActive": 100, "ratePerMinute": 6000, "mode": "fifo", "passSeconds": 60} | rules
