"""Measures who you are: `GET /api/auth/me` beside the same check in FastAPI, lists and counts among 100,000 sessions,
and how soon an open socket on another instance hears of a forced logout.

The service is the real one, release build, with PostgreSQL and Redis of its own. Server on one core; generator and
stores on the other.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from ports import free_port
from servers import PEERS, pinned, redis_server, started

REPOSITORY = Path(__file__).resolve().parents[2]
PEOPLE = 1_000
PASSWORD = "a long enough benchmark password"


def size(name, default):
    return type(default)(os.environ.get(f"BENCH_{name}", default))


ROUNDS = size("ROUNDS", 3)
SECONDS = size("SECONDS", 3.0)
CONNECTIONS = size("HTTP_CONNECTIONS", 64)
SESSIONS = size("SESSIONS", 100_000)
LOGOUTS = size("LOGOUTS", 300)


class Holdfast:
    """Instances of the service over one pair of stores."""

    name = "holdfast"

    def __init__(self, binary, folder, store_core, log):
        self.binary, self.folder, self.store_core, self.log = binary, folder, store_core, log

    def __enter__(self):
        script = REPOSITORY / "scripts/services.sh"
        subprocess.run(pinned(self.store_core, [script, "start", self.folder]), check=True)
        settings = (line.split("=", 1) for line in (self.folder / "env").read_text().split())
        self.environment = dict(settings) | {
            "HOLDFAST_SECRETS": base64.b64encode(secrets.token_bytes(32)).decode(),
            "HOLDFAST_WEB": str(REPOSITORY / "Web"),
            "HOLDFAST_MIGRATIONS": str(REPOSITORY / "Migrations"),
            "LOG_LEVEL": "warning",
        }
        self.redis_pid = int((self.folder / "redis.pid").read_text())
        self.run("migrate")
        return self

    def __exit__(self, *_):
        subprocess.run([REPOSITORY / "scripts/services.sh", "stop", self.folder], check=True)

    def run(self, *arguments, text=None):
        command = [self.binary, *map(str, arguments)]
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, input=text, text=True, check=True, stdout=subprocess.PIPE)
        return done.stdout.strip()

    def people(self, count, path):
        """Live sessions of so many people, one access token a line."""
        self.run("loadtest", "prepare", "--users", count, "--tokens", path)

    def opened(self, folder, event):
        """The event, on sale: its id, and a file that names it for the generator."""
        file, events = folder / "event.json", folder / "events"
        file.write_text(json.dumps(event))
        name = self.run("event", "create", "--file", file)
        self.run("event", "open", name)
        events.write_text(name + "\n")
        return name, events

    @contextlib.contextmanager
    def running(self, core):
        port = free_port()
        environment = self.environment | {"HOLDFAST_PORT": str(port)}
        with started([self.binary, "serve"], port, core, self.log, environment) as server:
            yield server


def house(inside, seats, seconds):
    """An event with a queue that lets everybody in at once up to so many; holds and passes live so many seconds."""
    return {
        "title": "Bench", "venue": "Hall", "startsAt": "2030-01-01T00:00:00.000Z", "currency": "KRW",
        "sale": {"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": seconds},
        "queue": {
            "enabled": True, "maxActive": inside, "ratePerMinute": 600_000, "mode": "fifo", "passSeconds": seconds,
        },
        "sections": [{"name": "A", "rows": -(-seats // 20), "seatsPerRow": 20, "price": 1000}],
    }


class FastAPI:
    """FastAPI on uvicorn, as `pip install fastapi uvicorn` makes it, with a Redis of its own; tuned with uvloop and
    httptools."""

    def __init__(self, python, store_core, log, tuned):
        self.python, self.store_core, self.log, self.tuned = python, store_core, log, tuned
        self.name = "FastAPI, tuned" if tuned else "FastAPI"
        self.secret = secrets.token_hex(32)

    def people(self, count, path, redis_port):
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=")

        head = part(b'{"alg":"HS256","typ":"at+jwt"}')
        now, tokens, commands = int(time.time()), [], []
        for number in range(count):
            user, session = f"load-{number}", secrets.token_urlsafe(32)
            claims = {"iss": "holdfast", "aud": "holdfast", "sub": user, "sid": session, "iat": now, "exp": now + 21_600}
            body = head + b"." + part(json.dumps(claims | {"jti": secrets.token_urlsafe(16)}).encode())
            tokens.append(body + b"." + part(hmac.digest(self.secret.encode(), body, hashlib.sha256)))
            value = json.dumps({"user_id": user, "ip_address": "127.0.0.1", "user_agent": "load test"})
            commands.append(f"SET session:{session} '{value}' EX 21600\n")
        path.write_bytes(b"\n".join(tokens) + b"\n")
        command = ["redis-cli", "-p", str(redis_port)]
        subprocess.run(command, input="".join(commands), text=True, check=True, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def running(self, core, tokens):
        port = free_port()
        loop, http = ("uvloop", "httptools") if self.tuned else ("asyncio", "h11")
        with redis_server(self.store_core, self.log) as store:
            self.people(PEOPLE, tokens, store.port)
            environment = {
                "BENCH_JWT_SECRET": self.secret,
                "BENCH_REDIS_URL": f"redis://127.0.0.1:{store.port}",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            command = [self.python, "-m", "uvicorn", "--app-dir", PEERS, "--port", port, "--log-level", "warning"]
            command += ["--no-access-log", "--loop", loop, "--http", http, "fastapi_server:app"]
            with started(command, port, core, self.log, environment) as server:
                yield server, store.pids[0]


class Bench:
    def __init__(self, options):
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.generator_core = cores[0], cores[-1]
        self.options = options
        self.log = options.out / "identity.log"
        self.log.write_bytes(b"")
        self.results = []

    def generate(self, server, store, path, tokens, *arguments):
        command = [self.options.generator, "http", "--port", server.port, "--store", store, "--path", path]
        for pid in server.pids:
            command += ["--pid", pid]
        command += ["--tokens", tokens, *arguments]
        done = subprocess.run(pinned(self.generator_core, command), capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            sys.exit(f"bench: the generator says: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def note(self, measurement, server, result, number=1):
        latency = result["latency_ms"]
        print(
            f"    round {number}  {measurement:16} {server:16} {result['requests_per_s']:,.0f} requests/s, "
            f"p50 {latency['p50']:.2f} ms, p99 {latency['p99']:.2f} ms, server {result['server_cpu']:.2f}, "
            f"Redis {result['store_cpu']:.2f}, generator {result['generator_cpu']:.2f} cores",
            flush=True,
        )
        self.results.append({"round": number, "measurement": measurement, "server": server} | result)
        return result

    def capacity(self, number, name, server, store, tokens):
        load = ("-n", CONNECTIONS, "--seconds", SECONDS)
        return self.note("me", name, self.generate(server, store, "/api/auth/me", tokens, *load), number)

    def run(self):
        with tempfile.TemporaryDirectory(prefix="bench-identity-") as text:
            folder = Path(text)
            folder.chmod(0o755)
            tokens = folder / "tokens"
            with Holdfast(self.options.service, folder / "services", self.generator_core, self.log) as ours:
                ours.people(PEOPLE, tokens)
                for number in range(1, ROUNDS + 1):
                    self.round(number, ours, tokens)
                self.among_many(ours, folder)
                self.logouts(ours, folder)
        return self.results

    def round(self, number, ours, tokens):
        with ours.running(self.server_core) as server:
            peak = self.capacity(number, ours.name, server, ours.redis_pid, tokens)["requests_per_s"]
            half = ("-n", 4 * CONNECTIONS, "--rate", peak / 2, "--seconds", SECONDS)
            result = self.generate(server, ours.redis_pid, "/api/auth/me", tokens, *half)
            self.note("me-half", ours.name, result, number)
        for tuned in (False, True):
            peer = FastAPI(self.options.python, self.generator_core, self.log, tuned)
            others = tokens.with_name("tokens-fastapi")
            with peer.running(self.server_core, others) as (server, store):
                self.capacity(number, peer.name, server, store, others)

    def among_many(self, ours, folder):
        """One request after the other, by an administrator, among very many sessions."""
        ours.people(SESSIONS, folder / "many")
        ours.run("user", "create", "--user-id", "chief", "--role", "admin", "--password-stdin", text=PASSWORD)
        with ours.running(self.server_core) as server:
            login = {"user_id": "chief", "password": PASSWORD}
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.port}/api/auth/login",
                data=json.dumps(login).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as answer:
                (folder / "chief").write_text(json.load(answer)["access_token"] + "\n")
            for name, path in (
                ("sessions-page", "/api/session/all?limit=50"),
                ("sessions-count", "/api/session/stats"),
            ):
                load = ("-n", 1, "--seconds", SECONDS)
                self.note(name, ours.name, self.generate(server, ours.redis_pid, path, folder / "chief", *load))

    def logouts(self, ours, folder):
        """An administrator ends sessions on one instance; their sockets are on the other."""
        ours.people(LOGOUTS, folder / "people")
        with ours.running(self.server_core) as here, ours.running(self.server_core) as there:
            command = [self.options.python, Path(__file__).with_name("forced_logout.py")]
            command += ["--ends", here.port, "--listens", there.port]
            command += ["--people", folder / "people", "--chief", folder / "chief"]
            done = subprocess.run(pinned(self.generator_core, command), capture_output=True, text=True, timeout=120)
            if done.returncode != 0:
                sys.exit(f"bench: forced logouts: {done.stderr.strip()[-2000:]}")
            waits = json.loads(done.stdout)
        result = {"measurement": "forced-logout", "server": ours.name, "round": 1, "latency_ms": waits}
        print(f"    round 1  forced-logout    p50 {waits['p50']:.2f} ms, p99 {waits['p99']:.2f} ms", flush=True)
        self.results.append(result)


# The report


def median(results, measurement, server, *path):
    values = []
    for result in results:
        if result["measurement"] == measurement and result["server"] == server:
            for key in path:
                result = result[key]
            values.append(result)
    return statistics.median(values) if values else None


def rows(results):
    """Title, our figure, what it is compared with, the goal, and whether it was met."""
    ours = median(results, "me", "holdfast", "requests_per_s")
    peer = median(results, "me", "FastAPI", "requests_per_s")
    tuned = median(results, "me", "FastAPI, tuned", "requests_per_s")
    others = f"FastAPI {peer:,.0f} · **{ours / peer:.1f}×**, tuned {tuned:,.0f} · **{ours / tuned:.1f}×**"
    yield "`GET /api/auth/me`, requests per second", f"{ours:,.0f}", others, "≥ 10 × FastAPI", ours >= 10 * peer
    for measurement, title, quantile, limit in (
        ("me-half", "the same at half that rate, open loop, p99, ms", "p99", 5),
        ("sessions-page", f"a page of 50 among {SESSIONS:,} sessions, p99, ms", "p99", 5),
        ("sessions-count", f"counts of {SESSIONS:,} sessions, by role, p99, ms", "p99", 1),
        ("forced-logout", "forced logout until a socket on another instance hears it, p99, ms", "p99", 1000),
    ):
        value = median(results, measurement, "holdfast", "latency_ms", quantile)
        middle = median(results, measurement, "holdfast", "latency_ms", "p50")
        yield title, f"{value:.2f}", f"p50 {middle:.2f}", f"< {limit:,}", value < limit


def markdown(results):
    lines = ["| who you are | holdfast | beside | goal | met |", "|---|---:|---|---|---|"]
    for title, own, beside, goal, met in rows(results):
        lines.append(f"| {title} | {own} | {beside} | {goal} | {'yes' if met else '**no**'} |")
    return "\n".join(lines) + "\n"
