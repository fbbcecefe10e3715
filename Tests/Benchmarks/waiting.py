"""The waiting room with 100,000 people in it, and the seat map of an arena with 60,000 seats, through the whole service.

People come over HTTP, and over sockets on which they then wait; the rest is one person's question to a room, or a map,
that is as full as we promise. How long Redis is busy with each script is read from its own slow log, which here logs
everything. Server on one core; generator and stores on the other.
"""

import contextlib
import hashlib
import http.client
import json
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

from seats import ROOT, Service
from servers import pinned, redis_server

NAME = "waiting"


def size(name, default):
    return type(default)(os.environ.get(f"BENCH_{name}", default))


PEOPLE = size("WAITING", 100_000)
SOCKETS = size("WAITING_SOCKETS", 9_900)
HOLD = size("WAITING_SECONDS", 8.0)
ADDRESS_LIMIT = 60_000
ALL = 1_000_000
WAITING, SEATING = ROOT / "Sources/WaitingRoom", ROOT / "Sources/Seating"
EVENT = {
    "title": "Bench", "venue": "Hall", "startsAt": "2030-01-01T00:00:00.000Z", "currency": "KRW",
    "sale": {"opensAt": "2020-01-01T00:00:00.000Z", "maxSeatsPerUser": 100, "holdSeconds": 600},
    "sections": [{"name": "A", "rows": 1, "seatsPerRow": 10, "price": 1000}],
    "queue": {"enabled": True, "maxActive": 100_000, "ratePerMinute": 60, "mode": "fifo", "passSeconds": 3600},
}
ARENA = EVENT | {
    "queue": {"enabled": False},
    "sections": [{"name": name, "rows": 100, "seatsPerRow": 100, "price": 1000} for name in "ABCDEF"],
}
CHIEF, PASSWORD = "bench-chief", "a long enough benchmark password"


# Redis


def digests():
    """Script names by what EVALSHA calls them."""
    found = {}
    common = (WAITING / "QueueCommon.lua").read_bytes()
    for path in WAITING.glob("*/*.lua"):
        found[hashlib.sha1(common + path.read_bytes()).hexdigest()] = path.stem
    state, orphans = (SEATING / "State/SeatState.lua").read_bytes(), (SEATING / "Holds/Orphans.lua").read_bytes()
    for path in SEATING.glob("*/*.lua"):
        for head in (b"", state, state + orphans):
            found[hashlib.sha1(head + path.read_bytes()).hexdigest()] = path.stem
    return found


class Store:
    def __init__(self, port):
        self.port, self.names = port, digests()

    def __call__(self, *arguments):
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *map(str, arguments)], capture_output=True, text=True, check=True
        )
        return done.stdout

    def watch(self):
        self("CONFIG", "SET", "slowlog-log-slower-than", "0")
        self("CONFIG", "SET", "slowlog-max-len", "20000")
        self("SLOWLOG", "RESET")

    def seen(self):
        """Microseconds of each call since `watch`, by script or command."""
        entries = json.loads(self("--json", "SLOWLOG", "GET", "-1"))
        self("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        times = {}
        for _, _, microseconds, arguments, *_ in entries:
            name = arguments[0].upper()
            if name == "EVALSHA":
                name = self.names.get(arguments[1], "a script")
            times.setdefault(name, []).append(microseconds)
        return times


def spread(times):
    """Of microseconds."""
    times = sorted(times)
    if not times:
        return {"calls": 0}
    return {
        "calls": len(times), "mean": statistics.fmean(times), "p50": times[len(times) // 2],
        "p99": times[min(len(times) - 1, len(times) * 99 // 100)], "max": times[-1],
    }


# One person who asks


class Person:
    def __init__(self, port, token):
        self.port, self.token = port, token
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None):
        """Status, parsed answer, bytes, milliseconds."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        began = time.perf_counter()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        took = (time.perf_counter() - began) * 1000
        return answer.status, json.loads(data), len(data), took

    def times(self, count, method, path, body=None, between=None):
        took = []
        for _ in range(count):
            status, answer, length, milliseconds = self.ask(method, path, body)
            if status != 200:
                raise RuntimeError(f"{method} {path}: {status} {answer}")
            took.append(milliseconds)
            if between:
                between()
        return {"p50": statistics.median(took), "max": max(took), "bytes": length}


class Measuring:
    def __init__(self, bench):
        self.bench, self.service = bench, Service(bench)

    @contextlib.contextmanager
    def everything(self):
        with self.service.database(), redis_server(self.bench.generator_core, self.bench.log) as redis:
            self.service.environment["MAX_CONNECTIONS_PER_ADDRESS"] = str(ADDRESS_LIMIT)
            self.store, self.redis = Store(redis.port), redis
            self.service.command(redis.port, "migrate")
            self.tokens = self.people(PEOPLE)
            yield

    def people(self, count):
        path = self.service.folder / "tokens-waiting"
        self.service.command(self.redis.port, "loadtest", "prepare", "--users", count, "--tokens", path)
        return path.read_text().split()

    def create(self, event):
        path = self.service.folder / "event-waiting.json"
        path.write_text(json.dumps(event))
        return self.service.command(self.redis.port, "event", "create", "--file", path)

    def generate(self, server, mode, *arguments, tokens, event):
        files = {"tokens": "\n".join(tokens), "events": event}
        command = [self.bench.generator, mode, *arguments, "--port", server.port, "--pid", server.pids[0]]
        command += ["--store", self.redis.pids[0], "--timeout", 110]
        for name, text in files.items():
            path = self.service.folder / f"{name}-now"
            path.write_text(text + "\n")
            command += [f"--{name}", path]
        return self.bench.generate(command)

    def cpu_of(self, server):
        fields = Path(f"/proc/{server.pids[0]}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # The waiting room

    def line(self):
        event = self.create(EVENT)
        by_http, by_socket, late = (
            self.tokens[: -SOCKETS - 2000], self.tokens[-SOCKETS - 2000 : -2000], self.tokens[-2000:]
        )
        with self.service.running(self.redis.port) as server:
            path = ("--path", f"/api/queue/check/{event}", "--arrivals")
            self.store.watch()
            yield "join-http", self.generate(server, "http", "-n", 256, *path, tokens=by_http, event=event)
            yield "join-http-redis", {"redis_us": self.shares(self.store.seen())}
            yield "join-paced", self.generate(
                server, "http", "-n", 512, *path, "--rate", 1700, tokens=late[:1900], event=event
            )
            self.store.watch()
            for token in late[1900:]:
                Person(server.port, token).ask("POST", f"/api/queue/check/{event}")
            yield "join-alone-redis", {"redis_us": self.shares(self.store.seen())}
            yield "line-alone", self.idle(server)
            yield "join-sockets", self.waiting(server, event, by_socket)
            yield "rebuild-line", self.lost(server, event, "queue")

    def shares(self, times):
        return {name: spread(found) for name, found in times.items() if name.startswith("Queue")}

    def idle(self, server):
        """Nobody listens: what the ticks alone cost."""
        self.store.watch()
        began, cpu = time.monotonic(), self.cpu_of(server)
        time.sleep(HOLD)
        spent = (self.cpu_of(server) - cpu) / (time.monotonic() - began)
        return {"server_cpu": spent, "redis_us": self.shares(self.store.seen())}

    def waiting(self, server, event, tokens):
        """All sockets wait, and 600 a minute go in, so that everybody's position changes all the time."""
        path = f"/api/queue/admin/{event}"
        chief = Person(server.port, self.chief(server))
        status, answer, *_ = chief.ask("PATCH", path, {"ratePerMinute": 600})
        assert status == 200, answer
        self.store.watch()
        result = self.generate(
            server, "line", "-n", len(tokens), "--hold", HOLD, "--handshakes", 256, tokens=tokens, event=event
        )
        return result | {"redis_us": self.shares(self.store.seen())}

    def chief(self, server):
        command = ["user", "create", "--user-id", CHIEF, "--role", "admin", "--password-stdin"]
        environment = os.environ | self.service.environment | {"REDIS_URL": f"redis://127.0.0.1:{self.redis.port}"}
        subprocess.run(
            [self.service.binary, *command], env=environment, input=PASSWORD + "\n", text=True, cwd=ROOT, check=False,
            capture_output=True,
        )
        login = {"user_id": CHIEF, "password": PASSWORD}
        self.port = server.port
        return Person(server.port, "").ask("POST", "/api/auth/login", login)[1]["access_token"]

    def lost(self, server, event, slice):
        """Redis loses an event's keys of one slice; until somebody is answered again."""
        names = self.store("--raw", "KEYS", f"hf:{{event:{event}}}:{slice}*").split()
        person = Person(server.port, self.tokens[len(self.tokens) // 2])
        path = f"/api/queue/status/{event}" if slice == "queue" else f"/api/events/{event}/seats?format=compact"
        person.ask("GET", path)
        self.store("UNLINK", *names)
        # Whoever asks before that is still given the copy of the map from before.
        time.sleep(0.3)
        self.store.watch()
        began = time.perf_counter()
        while person.ask("GET", path)[0] != 200:
            time.sleep(0.02)
        took = time.perf_counter() - began
        times = self.store.seen()
        slowest = max((max(found), name) for name, found in times.items())
        return {"restored_s": took, "redis_us": {slowest[1]: spread(times[slowest[1]])}, "retried": 0}

    # The seat map

    def arena(self):
        began = time.perf_counter()
        event = self.create(ARENA)
        yield "arena-create", {"restored_s": time.perf_counter() - began, "retried": 0}
        with self.service.running(self.redis.port) as server:
            person, chief = Person(server.port, self.tokens[0]), Person(server.port, self.chief(server))
            for name, path in (
                ("arena-compact", "seats?format=compact"), ("arena-full", "seats"), ("arena-layout", "layout"),
            ):
                # Between two of them the map is read again.
                found = person.times(20, "GET", f"/api/events/{event}/{path}", between=lambda: time.sleep(0.12))
                yield name, found | {"stalled_ms": self.stalled(server, event, path)}
            # Every third seat is free, then every thirtieth: nothing touches, and the search has to look far.
            for name, nth in (("arena-scattered", 3), ("arena-sold-out", 30)):
                self.sell(chief, event, nth)
                yield name, self.best(person, event, 100)
            self.sell(chief, event, ALL, "unblock")
            # Blocks are looked for on a map that may be as old as that.
            time.sleep(0.5)
            yield "arena-alternatives", self.alternatives(person, event)
            self.sell(chief, event, 6)
            yield "arena-rebuild", self.lost(server, event, "seats")

    def stalled(self, server, event, path):
        """How long somebody else waits for an answer at most, while ten people ask for it all at once."""
        command = [self.bench.generator, "http", "-n", "1", "--rate", "200", "--seconds", "2", "--warm-up", "0"]
        command += ["--path", "/health/live", "--port", server.port, "--pid", server.pids[0]]
        tokens = self.service.folder / "tokens-one"
        tokens.write_text(self.tokens[1] + "\n")
        probe = subprocess.Popen(
            pinned(self.bench.generator_core, [*command, "--tokens", tokens]), stdout=subprocess.PIPE, text=True
        )
        time.sleep(0.5)
        people = [Person(server.port, token) for token in self.tokens[2:12]]
        threads = [
            threading.Thread(target=person.ask, args=("GET", f"/api/events/{event}/{path}")) for person in people
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return json.loads(probe.communicate(timeout=60)[0])["latency_ms"]["max"]

    def sell(self, chief, event, nth, action="block"):
        """All but every nth seat; those that are off sale already stay so."""
        seats = [
            f"{section['name']}-{row}-{number}" for section in ARENA["sections"] for row in range(1, 101)
            for number in range(1, 101) if (number + row) % nth != 0
        ]
        for start in range(0, len(seats), 500):
            status, answer, *_ = chief.ask(
                "POST", f"/api/admin/events/{event}/seats/{action}", {"seatIds": seats[start : start + 500]}
            )
            assert status == 200, answer

    def best(self, person, event, quantity):
        """Nothing is left that touches: the search has to look everywhere."""
        wish = {"eventId": event, "quantity": quantity}
        return self.taken(person, event, "best-available", wish, "TakeBest")

    def alternatives(self, person, event):
        """A hundred seats side by side, one of which is gone: the nearest block of a hundred."""
        seats = [f"A-1-{number}" for number in range(1, 101)]
        status, answer, *_ = Person(self.port, self.tokens[1]).ask(
            "POST", "/api/seats/lock", {"eventId": event, "seatIds": seats[:1]}
        )
        assert status == 200, answer
        wish = {"eventId": event, "seatIds": seats, "alternatives": True}
        return self.taken(person, event, "lock", wish, "SelectSeats")

    def taken(self, person, event, action, wish, script):
        self.store.watch()
        took = []
        for _ in range(10):
            status, answer, _, milliseconds = person.ask("POST", f"/api/seats/{action}", wish)
            assert status == 200, answer
            took.append(milliseconds)
            person.ask("POST", "/api/seats/release", {"eventId": event})
        times = self.store.seen()
        return {"p50": statistics.median(took), "max": max(took), "redis_us": {script: spread(times.get(script, []))}}


def results(bench, seconds):
    measuring = Measuring(bench)
    with measuring.everything():
        for part in (measuring.line, measuring.arena):
            for name, result in part():
                yield name, "holdfast", {"server_cpu": 0, "generator_cpu": 0, "clean": True} | result


# The report


def redis_time(result, script):
    found = result.get("redis_us", {}).get(script, {})
    return f"{script} {found['mean']:,.0f} µs (at most {found['max']:,.0f})" if found.get("calls") else f"{script} –"


def markdown(results):
    found = {result["measurement"]: result for result in results if "error" not in result}
    rows = []

    def row(name, title, text):
        if name in found:
            rows.append(f"| {title} | {text(found[name])} |")

    row("join-http", f"{PEOPLE:,} people over HTTP", lambda r: (
        f"{r['requests_per_s']:,.0f} a second, {r['server_cpu'] / r['requests_per_s'] * 1e6:,.0f} µs of the server's"
        f" CPU each, {r['store_cpu'] / r['requests_per_s'] * 1e6:,.0f} µs of Redis'"
    ))
    row("join-http-redis", "their scripts in Redis, 100 people in each at most", lambda r: redis_time(r, "QueueJoin"))
    row("join-paced", "1,700 a second more, p99, ms", lambda r: f"{r['latency_ms']['p99']:.1f}")
    row("join-alone-redis", "one person's join", lambda r: redis_time(r, "QueueJoin"))
    row("line-alone", "all wait and nobody listens", lambda r: (
        f"{r['server_cpu'] * 100:.1f} % of a core, {redis_time(r, 'QueueTick')}"
    ))
    row("join-sockets", f"{SOCKETS:,} people with a socket each", lambda r: (
        f"{r['joins_per_s']:,.0f} connections with a join a second, {r['latency_ms']['p99']:.0f} ms p99"
    ))
    row("join-sockets", "they wait, ten a second go in", lambda r: (
        f"{r['server_cpu'] * 100:.0f} % of a core, {r['store_cpu'] * 100:.0f} % of Redis', {r['messages_per_s']:,.0f}"
        f" positions a second, {redis_time(r, 'QueueTick')}, {redis_time(r, 'QueueStand')}"
    ))
    slowest = lambda r: ", ".join(redis_time(r, name) for name in r["redis_us"])  # noqa: E731
    row("rebuild-line", "the queue lost: restored after", lambda r: f"{r['restored_s']:.2f} s; longest: {slowest(r)}")
    row("arena-create", "60,000 seats: made in", lambda r: f"{r['restored_s']:.2f} s")
    for name in ("compact", "full", "layout"):
        row(f"arena-{name}", f"{name}", lambda r: (
            f"{r['bytes'] / 1000:,.0f} kB, {r['p50']:.1f} ms; others wait {r['stalled_ms']:.1f} ms while ten ask"
        ))
    for name, title in (
        ("scattered", "the best 100 of every third seat"), ("sold-out", "the best 100 of every thirtieth seat"),
        ("alternatives", "100 others instead of 100 wanted"),
    ):
        row(f"arena-{name}", title, lambda r: f"{r['p50']:.1f} ms, {slowest(r)}")
    row("arena-rebuild", "50,000 claims lost: restored after", lambda r: f"{r['restored_s']:.2f} s; longest: {slowest(r)}")
    if not rows:
        return ""
    head = "\n## A full waiting room, an arena\n\n| | holdfast |\n|---|---|\n"
    return head + "\n".join(rows) + "\n"
